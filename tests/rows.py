"""Rows of Communications, as a page of one each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.integration.mirroring import message
from worker.extract.entry import read_resource
from worker.jobs.run.derive import rules_of
from worker.records import Communication
from worker.settings import read_settings
from worker.transform.message import to_messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.records import Message
    from worker.transform.bodies import ReadHtml
    from worker.transform.message import Rules


def to_message(communication: Communication, rules: Rules, read: Mapping[str, ReadHtml] | None = None) -> Message:
    """Return the row of a Communication, of whose bodies some may have been read already."""
    return to_messages([communication], rules, read or {})[0]


def row(message_id: str, **fields: Any) -> Message:
    """Return the row of the documented practitioner's message to the documented patient, changed by `fields`."""
    communication = read_resource(json.dumps(message(message_id, **fields)).encode())
    assert isinstance(communication, Communication)
    return to_message(communication, rules_of(read_settings({})))
