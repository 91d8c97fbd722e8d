"""What a source says about its own answer, in an OperationOutcome among the entries. Pure decoding.

FHIR R4 §3.1.1.5.3 (`search.mode` `outcome`) and its value set of issue types. Warnings are fine; an answer that some
part of the source was too late or too busy for is not whole, whatever its `total` says.
"""

from __future__ import annotations

import msgspec

_SEVERE = frozenset({"fatal", "error"})
# `incomplete`, what it is a kind of, and its kin.
_NOT_WHOLE_CODES = """
    exception incomplete lock-error no-store throttled timeout too-costly transient
"""
_NOT_WHOLE = frozenset(_NOT_WHOLE_CODES.split())


class _Issue(msgspec.Struct):
    severity: str | None = None
    code: str | None = None


class _Outcome(msgspec.Struct):
    resourceType: str
    issue: list[_Issue] = []


def says_not_whole(resource: bytes | msgspec.Raw) -> bool:
    """Tell whether a resource is an OperationOutcome that speaks of an error, or of results that are not whole."""
    try:
        outcome = msgspec.json.decode(resource, type=_Outcome)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return outcome.resourceType == "OperationOutcome" and any(
        issue.severity in _SEVERE or issue.code in _NOT_WHOLE for issue in outcome.issue
    )
