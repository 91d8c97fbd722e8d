"""`GET /metadata`: what this server can do, as a FHIR R4 CapabilityStatement (§5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.sandbox.searchset import COMMUNICATION_PARAMETERS, PATIENT_PARAMETERS, PRACTITIONER_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.sandbox.messages import Edition

TYPES = {"_id": "token", "active": "token", "include-non-schedulable-practitioners": "token"}


def capability_statement(edition: Edition) -> dict[str, Any]:
    """Return the CapabilityStatement of an edition."""
    interactions = ("create", "search-type") if edition == "seed" else ("create", "read", "search-type")
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "software": {"name": "message-mirror sandbox"},
        "implementation": {"description": f"Made-up clinic, {edition} edition of the Communication page"},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "OAuth 2.0 client credentials at /auth/token/"},
                "resource": [
                    _resource("Communication", interactions, COMMUNICATION_PARAMETERS[edition]),
                    _resource("Patient", ("search-type",), PATIENT_PARAMETERS),
                    _resource("Practitioner", ("search-type",), PRACTITIONER_PARAMETERS),
                ],
            }
        ],
    }


def _resource(kind: str, interactions: Sequence[str], parameters: Sequence[str]) -> dict[str, Any]:
    return {
        "type": kind,
        "interaction": [{"code": code} for code in interactions],
        "searchParam": [{"name": name, "type": TYPES.get(name, "reference")} for name in parameters],
    }
