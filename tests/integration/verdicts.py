"""What every command that fails has to hold to: its exit code, its words, and that it gives nobody away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.mirroring import PRACTITIONER, Finished, message
from worker.sandbox.population import Clinic, make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    import asyncpg

CANARY = "canary-in-a-cage"
VICTIM = ("recipient", f"Practitioner/{PRACTITIONER}")

# Six attempts at a page in each of three walks: not with the usual waits between them.
IMPATIENT = {"MIRROR_PATIENCE": "0.1s"}


def clinic_of_a_few() -> Clinic:
    clinic = make_clinic(messages=60, practitioners=4, patients=10, seed=3, edition="current")
    clinic.put(
        message("canary", text=CANARY, recipient=[{"reference": VICTIM[1]}], sender={"reference": "Patient/x-1"})
    )
    return clinic


def assert_told(finished: Finished, code: int, *words: str, clinic: Clinic | None = None) -> None:
    """Hold that a command ended with `code` and `words`, like something a person can put right, and discreetly."""
    said = finished.out + finished.err
    assert finished.code == code, said
    for word in words:
        assert word in said
    assert "Next: " in said
    assert_discreet(finished, clinic)


def assert_discreet(finished: Finished, clinic: Clinic | None = None) -> None:
    """Hold that nothing of a patient, of a secret or of our own code was shown."""
    said = finished.out + finished.err
    for word in ("Traceback", "A defect", CANARY, SandboxServer.client_secret, "Patient/", "Practitioner/"):
        assert word not in said
    for patient in clinic.patients if clinic else ():
        assert patient not in said


async def assert_untouched(database: asyncpg.Connection) -> None:
    assert await database.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'canvas%'") == 0


async def assert_no_run(database: asyncpg.Connection) -> None:
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.run") == 0
    assert await database.fetchval("SELECT count(*) FROM canvas.message") == 0
