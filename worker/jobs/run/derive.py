"""Derives the rows of messages without blocking the event loop, in which leases are renewed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from worker.transform.cutoff import Cutoff
from worker.transform.message import Rules, slow_bodies, to_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.reader.parent import Reader
    from worker.records import Communication, Message
    from worker.settings import Settings

PAGE = 10
"""How many messages are derived at a stretch: each body in less than 50 ms, and most in a hundredth of that."""


def rules_of(settings: Settings) -> Rules:
    """Return the rules of derivation that the settings ask for."""
    return Rules(Cutoff(settings.cutoff, settings.cutoff_until), settings.ignored)


async def derive(communications: Sequence[Communication], rules: Rules, reader: Reader) -> list[Message]:
    """Return the rows of Communications, one for each, in their order. Raises ReaderFailed."""
    messages: list[Message] = []
    for start in range(0, len(communications), PAGE):
        page = communications[start : start + PAGE]
        read = {body: await reader.read(body) for body in slow_bodies(page, rules)}
        messages += to_messages(page, rules, read)
        await asyncio.sleep(0)
    return messages
