"""Options and commands whose wiring no other test shows, each typed as a person types it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import aiohttp
import pytest

from tests.integration.mirroring import PATIENT, environment, ids_of, mirror_settings, run_command, start_command
from tests.integration.verdicts import assert_told
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE
from worker.jobs.verify.job import verify
from worker.load.postgres.database import open_warehouse
from worker.load.run_lock import run_lock
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer
from worker.settings import FIRST_PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg

    from worker.jobs.run.progress import Progress


@asynccontextmanager
async def sandbox(*options: str) -> AsyncIterator[str]:
    """Run `message-mirror sandbox` with these options as a process of its own, and give its URL."""
    async with serving(await start_command({}, "sandbox", "--port", "0", "--messages", "50", *options)) as url:
        yield url


@asynccontextmanager
async def serving(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    """Give the URL that a process prints which serves a sandbox, and end it."""
    assert process.stdout is not None
    url = None
    while url is None:
        line = await process.stdout.readline()
        assert line, "it ended before it began"
        url = re.search(r"CANVAS_FHIR_URL=(\S+)", line.decode())
    try:
        yield url[1]
    finally:
        process.terminate()
        await process.communicate()


@asynccontextmanager
async def client(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session that may ask the sandbox at `url` for everything."""
    form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret"}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        async with session.post(f"{url}/auth/token/", data=form) as answer:
            token = (await answer.json())["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        yield session


async def total(url: str, search: str) -> int:
    async with client(url) as session, session.get(f"{url}/{search}") as answer:
        found: dict[str, Any] = await answer.json()
        return int(found["total"])


@pytest.mark.parametrize(
    ("option", "searches"),
    [
        ("--patients", ["Patient?_count=1"]),
        (
            "--practitioners",
            [
                f"Practitioner?include-non-schedulable-practitioners=true&active={active}&_count=1"
                for active in ("true", "false")
            ],
        ),
    ],
)
async def test_the_sandboxs_clinic_is_as_large_as_asked_for(option: str, searches: list[str]) -> None:
    async with sandbox(option, "17") as url:
        assert sum([await total(url, search) for search in searches]) == 17


async def test_the_sandbox_takes_its_time_if_asked_to() -> None:
    """No answer comes before `--latency-ms` is over."""
    async with sandbox("--latency-ms", "300") as url, aiohttp.ClientSession() as session:
        began = time.monotonic()
        async with session.get(f"{url}/metadata") as answer:
            assert answer.status == 200
        assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("module", "arguments", "spoilt"),
    [("worker", ["sandbox", "--port", "0"], False), ("tests.faults.unreliable", ["3"], True)],
)
async def test_the_sandbox_is_reliable_and_the_unreliable_source_is_not(
    module: str, arguments: list[str], spoilt: bool
) -> None:
    """One answer in twenty of the latter is late, missing or another: among a hundred some are."""

    async def ask(url: str, session: aiohttp.ClientSession) -> str | None:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with session.get(f"{url}/metadata") as answer:
                return await answer.text() if answer.status == 200 else None
        return None

    process = await start_command({}, *arguments, module=module)
    async with serving(process) as url, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        answers = await asyncio.gather(*(ask(url, session) for _ in range(100)))
    assert (len(set(answers)) > 1) is spoilt


async def test_deletions_are_believed_on_the_operators_word(database_dsn: str, database: asyncpg.Connection) -> None:
    """So many at once are marked by `sync --accept-deletions` alone, and the run before it says so."""
    clinic = make_clinic(messages=150, practitioners=4, patients=10)
    async with SandboxServer(clinic) as server:
        variables = environment(server.url, database_dsn)
        assert (await run_command(variables, "sync")).code == EXIT_OK
        for one in list(clinic)[:60]:
            clinic.remove(one["id"])
        held_back = await run_command(variables, "sync")
        assert held_back.code == EXIT_INCOMPLETE
        assert "message-mirror sync --accept-deletions" in held_back.out
        gone = re.search(r"at least (\d+) messages the source no longer knows, (\d+) more", held_back.out)
        assert gone, held_back.out
        assert int(gone[1]) + int(gone[2]) == 60
        assert "use it only if up to 60 messages are meant to be gone" in " ".join(held_back.out.split())
        assert await database.fetchval(DELETED) == 0
        believed = await run_command(variables, "sync", "--accept-deletions")
        assert believed.code == EXIT_OK, believed.out + believed.err
        assert await database.fetchval(DELETED) == 60


DELETED = "SELECT count(*) FROM canvas.message WHERE _deleted_at IS NOT NULL"


# Backfills that find nothing, or cannot be meant


async def test_a_backfill_says_how_many_of_those_named_it_did_not_find(database_dsn: str) -> None:
    """It is complete, since the source says so; but whoever mistyped an id has to see it."""
    clinic = make_clinic(messages=60, practitioners=4, patients=10)
    known = next(iter(clinic))["id"]
    arguments = ("backfill", "--id", known, "--id", "no-such-message", "--practitioner", "0" * 32)
    async with SandboxServer(clinic) as server:
        done = await run_command(environment(server.url, database_dsn), *arguments)
        assert done.code == EXIT_OK, done.err
        assert "2 of the 3 named ids have no message at the source" in done.out
        found = await run_command(environment(server.url, database_dsn), "backfill", "--id", known)
        assert "not found" not in found.out


async def test_a_persons_id_may_be_written_with_dashes(database_dsn: str, database: asyncpg.Connection) -> None:
    """Canvas writes people's ids without, so it can be nobody else; a message's id is left as it is."""
    clinic = make_clinic(messages=60, practitioners=4, patients=10)
    practitioner = next(one for one in clinic.practitioners if list(clinic.search("sender", f"Practitioner/{one}")))
    async with SandboxServer(clinic) as server:
        variables = environment(server.url, database_dsn)
        done = await run_command(variables, "backfill", "--practitioner", str(UUID(practitioner)))
        assert done.code == EXIT_OK, done.err
        assert await ids_of(database)
        message = next(iter(clinic))["id"]
        assert "-" in message
        assert "not found" not in (await run_command(variables, "backfill", "--id", message)).out


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (["backfill", "--patients-file", "-"], f"id\n{PATIENT}\n", "line 1"),
        (["backfill", "--patients-file", "-"], "# nobody\n", "names nobody"),
        (["backfill", "--since", "2024-02-02", "--until", "2024-02-02"], "", "--since"),
        (["backfill", "--since", "0001-01-01"], "", "too far away"),
        (["replay", "--since", "0001-01-01"], "", "too far away"),
    ],
)
async def test_an_argument_that_cannot_be_meant_ends_in_a_next_step(
    arguments: list[str], stdin: str, words: str, database_dsn: str
) -> None:
    """The first day of all time begins, in Tokyo, before it in UTC."""
    variables = environment("http://127.0.0.1:9", database_dsn, MIRROR_TIME_ZONE="Asia/Tokyo")
    finished = await run_command(variables, *arguments, stdin=stdin)
    assert_told(finished, EXIT_USAGE, words, "Safe: Nothing was read or written.")


# status, warehouse


async def test_status_tells_a_run_under_way_from_one_that_died(database_dsn: str, database: asyncpg.Connection) -> None:
    variables = {"WAREHOUSE_DSN": database_dsn}
    assert (await run_command(variables, "migrate")).code == EXIT_OK
    await database.execute(
        "INSERT INTO canvas_ops.run (job, scope, selection_key, version) VALUES ('sync', 'full', '', '0')"
    )
    died = await run_command(variables, "status")
    assert re.search(r"│ open +│", died.out), died.out
    assert "no process works on it: it was abandoned" in died.out
    async with open_warehouse(database_dsn, "canvas", FIRST_PATIENCE) as warehouse, run_lock(warehouse, "sync"):
        assert "The run lock is held by message-mirror sync" in (await run_command(variables, "status")).out
        held = json.loads((await run_command(variables, "status", "--json")).out)
    assert held["lock"]["holder"].startswith("message-mirror sync")
    assert held["runs"][0]["outcome"] is None


async def test_the_embedded_server_is_stopped_whatever_the_source_is(tmp_path: Path) -> None:
    """Its commands look at no setting but those of the warehouse."""
    variables = {"CANVAS_FHIR_URL": "junk", "MIRROR_RATE": "junk", "WAREHOUSE_DIR": str(tmp_path)}
    finished = await run_command(variables, "warehouse", "stop")
    assert (finished.code, finished.out) == (EXIT_OK, "was not running\n"), finished.err


async def test_another_warehouse_in_use_is_said_with_a_next_step(tmp_path: Path) -> None:
    variables = {"WAREHOUSE_DSN": "postgresql://db.example.com/w", "WAREHOUSE_DIR": str(tmp_path)}
    assert_told(await run_command(variables, "warehouse", "stop"), EXIT_USAGE, "WAREHOUSE_DSN is set")


async def test_the_progress_of_a_verification_never_falls_back(database_dsn: str) -> None:
    """Two passes over the patients are one count whose end is known from the first search on."""
    counts: dict[int | None, list[tuple[int, int, int]]] = {}

    def report(progress: Progress) -> None:
        counts.setdefault(progress.run_id, []).append((progress.searches_done, progress.searches, progress.entries))

    async with SandboxServer(make_clinic(messages=60, practitioners=3, patients=8)) as server:
        verified = await verify(mirror_settings(server.url, database_dsn), report)
    seen = counts[verified.run_id]
    assert verified.clean
    assert seen == sorted(seen)
    assert {searches for _, searches, _ in seen} == {2 * 2 * 8}
    assert seen[-1] == (2 * 2 * 8, 2 * 2 * 8, 2 * 60)
