"""The row of one Communication, as a page of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.transform.message import to_messages

if TYPE_CHECKING:
    from worker.records import Communication, Message
    from worker.transform.message import Rules


def to_message(communication: Communication, rules: Rules) -> Message:
    """Return the row of a Communication."""
    return to_messages([communication], rules)[0]
