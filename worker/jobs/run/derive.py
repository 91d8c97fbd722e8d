"""Derives the rows of messages without blocking the event loop, in which leases are renewed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from worker.transform.message import slow_bodies, to_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.reader.parent import Reader
    from worker.records import Communication, Message
    from worker.transform.message import Rules

PAGE = 100
"""How many messages are derived at a stretch: each body in less than 50 ms, and most in a hundredth of that."""


async def derive(communications: Sequence[Communication], rules: Rules, reader: Reader) -> list[Message]:
    """Return the rows of Communications, one for each, in their order. Raises ReaderFailed."""
    messages: list[Message] = []
    for start in range(0, len(communications), PAGE):
        page = communications[start : start + PAGE]
        read = {body: await reader.read(body) for body in slow_bodies(page, rules)}
        messages += to_messages(page, rules, read)
        await asyncio.sleep(0)
    return messages
