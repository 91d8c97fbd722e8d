"""What a source says in an OperationOutcome about a request that it refused, or its own answer. Pure decoding.

FHIR R4 §2.40 and its value set of issue types; §3.1.1.5.3 for an outcome among the entries of a searchset. Warnings are
fine. If a part of the source was too late or too busy, the answer is not whole, whatever its `total` says.
"""

from __future__ import annotations

import msgspec

_SEVERE = frozenset({"fatal", "error"})
# The value set `issue-type`. A code that is not in it may be anything, so it is not repeated.
_TRANSIENT_TYPES = "transient lock-error no-store exception timeout incomplete throttled"
_ISSUE_TYPES = """
    invalid structure required value invariant security login unknown expired forbidden suppressed processing
    not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly business-rule
    conflict informational
"""
TRANSIENT = frozenset(_TRANSIENT_TYPES.split())
"""`transient` and its kinds: the same request may be answered the next time."""
ISSUE_TYPES = TRANSIENT | frozenset(_ISSUE_TYPES.split())
_NOT_WHOLE = TRANSIENT | {"too-costly"}


class _Issue(msgspec.Struct):
    severity: str | None = None
    code: str | None = None


class _Typed(msgspec.Struct):
    resourceType: str


class _Outcome(msgspec.Struct):
    resourceType: str
    issue: list[_Issue] | None = None


def issue_codes(resource: bytes | msgspec.Raw) -> frozenset[str] | None:
    """Return the issue types in an OperationOutcome, None if the resource is something else."""
    issues = _issues(resource)
    return None if issues is None else frozenset(one.code for one in issues if one.code in ISSUE_TYPES)


def is_outcome(resource: bytes) -> bool:
    """Tell whether a resource is an OperationOutcome, which is no match of a search whatever `search.mode` says."""
    # A search of the bytes comes first, because this is called for every entry.
    if b"OperationOutcome" not in resource:
        return False
    try:
        return msgspec.json.decode(resource, type=_Typed).resourceType == "OperationOutcome"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def says_not_whole(resource: bytes) -> bool:
    """Tell whether a resource is an OperationOutcome about an error, or about results that are not whole."""
    return any(issue.severity in _SEVERE or issue.code in _NOT_WHOLE for issue in _issues(resource) or ())


def _issues(resource: bytes | msgspec.Raw) -> list[_Issue] | None:
    try:
        outcome = msgspec.json.decode(resource, type=_Outcome)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return (outcome.issue or []) if outcome.resourceType == "OperationOutcome" else None
