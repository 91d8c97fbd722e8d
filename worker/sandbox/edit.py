"""Editing a message of the sandbox over HTTP. Canvas has no such endpoint: there, people do it in the chart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from worker.sandbox.refusals import Refused, operation_outcome

if TYPE_CHECKING:
    from worker.sandbox.messages import Resource

KEPT = ("resourceType", "id")


def edited(resource: Resource, body: bytes) -> Resource:
    """Return a Communication with the fields of a request's body instead of its own; null takes one away.

    As a JSON Merge Patch (RFC 7396) of the top level. What a field holds is not checked, so that what is malformed can
    be served, too. Raises Refused 400 for a body that is no object, or that would make another message of it.
    """
    try:
        changes = json.loads(body)
    except (ValueError, RecursionError):
        changes = None
    if not isinstance(changes, dict) or any(name in changes for name in KEPT):
        raise Refused(400, operation_outcome("invalid", "The body is an object of fields to change, without id"))
    return {name: value for name, value in {**resource, **changes}.items() if value is not None}
