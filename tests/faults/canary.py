"""Patients' words stay where they belong: every path of the mirror with marked words, and ears for whatever gets out.

Marked are bodies, patients' names and ids, and practitioners' names. They may be in the tables and nowhere else: not in
a log, an error, a progress line, a process title, an argument, a statement, or the log of the database's server.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from tests.faults.canary_ears import MARK, PATIENTS, Ears, canary_clinic, canary_message
from tests.faults.canary_faults import (
    RAISES,
    Spoiler,
    Stage,
    defects,
    source_fails,
    untrusted_source,
    warehouse_refuses,
)
from tests.faults.frozen import FIRST_PAGE
from tests.faults.outages import embedded_server
from tests.faults.processes import Doorbell
from tests.faults.proof import ProofResult
from worker.cli.demo import PATIENTS as PATIENTS_OF_DEMO
from worker.sandbox.people import make_patients
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from tests.faults.processes import Worker
    from tests.faults.proof import Size
    from worker.load.embedded import EmbeddedServer

Path: TypeAlias = "Callable[[Stage], Awaitable[None]]"
ROUNDS: Mapping[Size, int] = {"small": 1, "full": 4}
OTHER_CUTOFF = "2024-02-03T00:00:00Z"

STARTS_AT_ONCE = """
from datetime import UTC, datetime, timedelta
from worker.service import schedule

class Once:
    at = None

    def after(self, instant):
        self.at = self.at or instant + timedelta(milliseconds=1)
        return self.at if instant < self.at else datetime.max.replace(tzinfo=UTC)

once = Once()
schedule.schedule_of = lambda *_: once
"""


async def run(size: Size, seed: int, _server_url: str) -> ProofResult:
    """Take every path, in rounds, on an embedded server whose log is the product's own business."""
    result = ProofResult("canary", seed)
    with embedded_server() as server:
        for number in range(ROUNDS[size]):
            for path in (*PATHS, *((demo,) if size == "full" else ())):
                await take(path, server, result, seed + number)
    return result


async def take(path: Path, server: EmbeddedServer, result: ProofResult, seed: int) -> None:
    """Take one path; odd and even seeds change the forms of the logs. Then look into the server's log."""
    async with open_stage(server, result) as stage:
        stage.commands = seed
        await path(stage)
        stage.ears.server_logs()


@asynccontextmanager
async def open_stage(server: EmbeddedServer, result: ProofResult) -> AsyncIterator[Stage]:
    """Start the server, serve the canaries, and give both with the ears."""
    dsn = await asyncio.to_thread(server.start)
    database = await asyncpg.connect(dsn)
    clinic, spoiler, bell = canary_clinic(), Spoiler(), Doorbell()
    try:
        async with SandboxServer(clinic, middlewares=[bell.middleware(), spoiler.middleware()]) as source:
            yield Stage(Ears(result, server, database), clinic, spoiler, bell, database, source.url, dsn)
    finally:
        await database.close()


async def everyday(stage: Stage) -> None:
    """Take the paths of a good day, and those of a verification that finds differences."""
    ears = stage.ears
    for command in (["check"], ["migrate", "--print"], ["migrate"]):
        await ears.run(stage.variables(), *command)
    stage.change()
    await ears.run(stage.variables(), "sync", on_terminal=True, saying="searches")
    stage.change()
    await ears.run(stage.variables(), "sync", "--quick")
    with patients_file(*(patient.reference for patient in PATIENTS)) as file:
        await ears.run(stage.variables(), "backfill", "--patients-file", file)
    with patients_file(f"{PATIENTS[0].id} {PATIENTS[0].family}") as file:
        await ears.run(stage.variables(), "backfill", "--patients-file", file, code=2, saying="line 1")
    await ears.run(stage.variables(), "backfill", "--dry-run")
    await ears.run(stage.variables(), "backfill", on_terminal=True)
    await ears.run(stage.variables(), "verify")
    await ears.run(stage.variables(MIRROR_CUTOFF=OTHER_CUTOFF), "replay")
    await ears.run(stage.variables(), "replay", on_terminal=True)
    altered = "UPDATE canvas.message SET sender_id = sender_id || $1 WHERE id = 'changed'"
    await stage.database.execute(altered, MARK)
    lost = await stage.database.fetchval("DELETE FROM canvas.message WHERE id <> 'changed' RETURNING id")
    assert lost is not None
    await ears.run(stage.variables(), "verify", "--no-sync", code=1, saying="altered")
    await ears.run(stage.variables(), "verify", "--no-sync", "--json", code=1, saying='"missing"')
    await ears.run(stage.variables(), "sync")
    await ears.run(stage.variables(), "status")
    await ears.run(stage.variables(), "status", "--json")


@contextmanager
def patients_file(*lines: str) -> Iterator[str]:
    """Give the path of a file of these lines."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(lines))
        file.flush()
        yield file.name


async def unusable_entries(stage: Stage) -> None:
    """Put entries in quarantine, each with words where no words should be."""
    nobody = canary_message("without-id")
    del nobody["id"]
    for entry in (
        nobody,
        canary_message("of-no-day", sent=f"2024-13-45T{MARK}"),
        canary_message("with-nul", payload=[{"contentString": f"{MARK}body \0"}]),
        canary_message("to-nobody", sender={"reference": f"{MARK} nobody/{PATIENTS[1].id}"}),
        canary_message("of-no-kind", resourceType=f"{MARK}Communication"),
        canary_message(f"no id {MARK}"),
    ):
        stage.clinic.put(entry)
    await stage.ears.run(stage.variables(), "sync")
    await stage.ears.run(stage.variables(), "status", saying="Quarantine")
    await stage.ears.run(stage.variables(), "replay")


async def signals(stage: Stage) -> None:
    """End a sync by either signal, and start a second one beside it."""
    for number, code in ((signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)):
        stage.change()
        stage.bell.set(FIRST_PAGE, hold=True)

        async def end(worker: Worker, number: signal.Signals = number) -> None:
            await stage.bell.rings(worker)
            await stage.ears.run(stage.variables(), "sync", code=75)
            worker.send(number)
            stage.bell.let_go()

        # With the patience of the other paths a slow machine would ask again for the answer that is held back.
        await stage.ears.run(stage.variables(MIRROR_PATIENCE="300s"), "sync", code=code, during=end)
        stage.bell.set(0)
    await stage.ears.run(stage.variables(), "sync", saying="resumed")


async def service(stage: Stage) -> None:
    """Let `serve` start a sync that a defect ends, and stop it."""

    async def stop(worker: Worker) -> None:
        await worker.says("the sync failed unexpectedly")
        worker.send(signal.SIGTERM)

    stage.change()
    await stage.ears.run(stage.variables(), "serve", sabotage=STARTS_AT_ONCE + RAISES, during=stop)


async def demo(stage: Stage) -> None:
    """Run the demo, whose patients are made up: none of them is named."""
    with embedded_server() as server:
        directory = server.directory.parent
        ended = await stage.ears.run({}, "demo", "--messages", "2000", directory=directory)
        people = make_patients(1, PATIENTS_OF_DEMO)
        for word in {word for person in people for word in (person.id, f"{person.given} {person.family}")}:
            if word in ended.out or word in ended.err:
                stage.ears.told("demo", word)
        await stage.ears.run({"WAREHOUSE_DIR": ".warehouse-demo"}, "warehouse", "remove", "--yes", directory=directory)


PATHS: tuple[Path, ...] = (
    everyday,
    unusable_entries,
    signals,
    source_fails,
    untrusted_source,
    warehouse_refuses,
    defects,
    service,
)
