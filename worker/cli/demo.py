"""`make run`: a made-up clinic, mirrored into an embedded PostgreSQL of its own, and a first query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.jobs.status import first_look
from worker.jobs.sync import sync
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer
from worker.settings import read_settings

if TYPE_CHECKING:
    from worker.jobs.run.mirror import RunResult
    from worker.jobs.run.progress import Report

DIRECTORY = ".warehouse-demo"
PRACTITIONERS = 60
PATIENTS = 2_000


async def demo(messages: int, seed: int, report: Report) -> tuple[RunResult, list[dict[str, Any]]]:
    """Return the run and the rows of the first query. Whatever the environment says is not looked at.

    Raises WrongInstance if the warehouse is another clinic's.
    """
    clinic = make_clinic(
        messages=messages, practitioners=PRACTITIONERS, patients=PATIENTS, seed=seed, edition="current"
    )
    async with SandboxServer(clinic) as server:
        settings = read_settings(
            {
                "CANVAS_FHIR_URL": server.url,
                "CANVAS_CLIENT_ID": server.client_id,
                "CANVAS_CLIENT_SECRET": server.client_secret,
                # Another clinic in the same schema would look like a source that lost all its messages.
                "CANVAS_INSTANCE": f"demo of {messages} messages, seed {seed}",
                "WAREHOUSE_DIR": DIRECTORY,
            }
        )
        result = await sync(settings, report)
        return result, await first_look(settings)
