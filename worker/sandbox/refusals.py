"""Refusals as FHIR OperationOutcomes, with the codes and texts of Canvas's documentation.

A real server's texts may say more. These are the documented examples, so that a client can be tested against them word
by word.
"""

from __future__ import annotations

from typing import Any

DOCUMENTED = {
    400: ("invalid", "Bad request"),
    401: ("unknown", "Authentication failed"),
    403: ("forbidden", "Authorization failed"),
    405: ("not-supported", "Operation is not supported"),
    412: ("conflict", "Resource updated since If-Unmodified-Since date"),
    422: ("business-rule", "Unprocessable entity"),
}


class Refused(Exception):
    """A request that is answered with a 4xx status and the OperationOutcome `outcome`."""

    def __init__(self, status: int, outcome: dict[str, Any] | None = None, *, allow: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.outcome = outcome or documented(status)
        self.allow = allow


def documented(status: int) -> dict[str, Any]:
    """Return the OperationOutcome documented for a status. Raises KeyError if none is."""
    return operation_outcome(*DOCUMENTED[status])


def operation_outcome(code: str, text: str) -> dict[str, Any]:
    """Return an OperationOutcome of one error; `code` is from FHIR R4's issue types."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "details": {"text": text}}],
    }
