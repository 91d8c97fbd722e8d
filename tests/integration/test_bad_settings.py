"""Settings, credentials and arguments that are wrong or missing, each through the real command.

Every case ends in one clear message that names what to put right, before anything is read or written.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from tests.integration.mirroring import environment, ids_of, run_command
from tests.integration.verdicts import (
    CANARY,
    assert_discreet,
    assert_no_run,
    assert_told,
    assert_untouched,
    clinic_of_a_few,
)
from worker.errors import EXIT_OK, EXIT_USAGE, EXIT_WAREHOUSE
from worker.sandbox.sandbox_server import SandboxServer
from worker.settings import KNOWN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg
    from aiohttp.typedefs import Handler


@pytest.fixture
async def server() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(clinic_of_a_few()) as started:
        yield started


# Settings

WRONG = {
    "CANVAS_FHIR_URL": "ftp://fumage-acme.example.com",
    "CANVAS_AUTH_URL": "acme.example.com",
    "CANVAS_CLIENT_ID": "somebody else",
    "CANVAS_CLIENT_SECRET": "wrong",
    "CANVAS_TOKEN": "two words",
    "WAREHOUSE_DSN": "mysql://warehouse",
    "WAREHOUSE_SCHEMA": "public; DROP TABLE",
    "MIRROR_CONCURRENCY": "0",
    "MIRROR_RATE": "fast",
    "MIRROR_PATIENCE": "for ever",
    "MIRROR_RESUME_WITHIN": "-1h",
    "MIRROR_CUTOFF": "2022-10-27",
    "MIRROR_TIME_ZONE": "Mars/Olympus",
    "MIRROR_NIGHTLY": "daily",
    "MIRROR_CA_FILE": "/no/such/file.pem",
    "MIRROR_IGNORE": "payload",
    "MIRROR_PRACTITIONER_NAMES": "maybe",
    "MIRROR_LOG": "xml",
}
ELSEWHERE = {"CANVAS_INSTANCE", "WAREHOUSE_DIR"}  # have tests of their own below


def test_every_setting_has_a_wrong_value() -> None:
    assert WRONG.keys() | ELSEWHERE == {known.variable for known in KNOWN}


@pytest.mark.parametrize("variable", WRONG)
async def test_a_wrong_setting_is_named(
    variable: str, server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    variables = environment(server.url, database_dsn) | {variable: WRONG[variable]}
    finished = await run_command(variables, "sync")
    assert_told(finished, EXIT_USAGE, variable, clinic=server.clinic)
    if server.requests:  # only what the source has to judge gets as far as the warehouse
        assert variable in {"CANVAS_CLIENT_ID", "CANVAS_CLIENT_SECRET"}
        await assert_no_run(database)
    elif variable != "CANVAS_TOKEN":
        await assert_untouched(database)


@pytest.mark.parametrize(
    ("missing", "word"),
    [
        (["CANVAS_FHIR_URL"], "CANVAS_FHIR_URL"),
        (["CANVAS_CLIENT_ID"], "CANVAS_CLIENT_ID"),
        (["CANVAS_CLIENT_SECRET"], "CANVAS_CLIENT_SECRET"),
    ],
)
async def test_a_missing_setting_is_named(
    missing: list[str], word: str, server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    variables = environment(server.url, database_dsn) | dict.fromkeys(missing, "")
    assert_told(await run_command(variables, "sync"), EXIT_USAGE, word)
    assert server.requests == 0
    await assert_untouched(database)


@pytest.mark.parametrize("variable", [known.variable for known in KNOWN if known.secret])
async def test_a_secret_in_two_places_is_refused(
    variable: str, server: SandboxServer, database_dsn: str, database: asyncpg.Connection, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(CANARY)
    both = {variable: CANARY, f"{variable}_FILE": str(tmp_path / "secret")}
    finished = await run_command(environment(server.url, database_dsn) | both, "sync")
    assert_told(finished, EXIT_USAGE, variable, f"{variable}_FILE")
    assert server.requests == 0
    await assert_untouched(database)


async def test_patients_data_go_to_no_place_that_nobody_chose(tmp_path: Path) -> None:
    variables = {"CANVAS_FHIR_URL": "https://fumage-acme.example.invalid", "CANVAS_TOKEN": "t"}
    finished = await run_command(variables, "sync", directory=tmp_path)
    assert_told(finished, EXIT_USAGE, "WAREHOUSE_DSN", "WAREHOUSE_DIR")
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240 - nothing else runs on this loop


async def test_a_warehouse_directory_that_cannot_be_one_is_named(server: SandboxServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    variables = environment(server.url, "", WAREHOUSE_DIR=str(tmp_path / "file" / "below"))
    assert_told(await run_command(variables, "sync"), EXIT_WAREHOUSE, "WAREHOUSE_DIR")
    assert server.requests == 0


@pytest.mark.parametrize("variable", ["CANVAS_FHIR_URL", "CANVAS_AUTH_URL"])
async def test_nothing_is_sent_in_plaintext_beyond_loopback(
    variable: str, server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    """0.0.0.0 leads to the sandbox, and is no loopback address."""
    plain = server.url.replace("127.0.0.1", "0.0.0.0") + "/x"  # noqa: S104 - nothing listens there
    finished = await run_command(environment(server.url, database_dsn) | {variable: plain}, "sync")
    assert_told(finished, EXIT_USAGE, variable, "plain http")
    assert server.requests == 0
    await assert_untouched(database)


# Credentials


async def test_a_token_that_is_refused(server: SandboxServer, database_dsn: str, database: asyncpg.Connection) -> None:
    finished = await run_command(environment(server.url, database_dsn, CANVAS_TOKEN="expired"), "sync")
    assert_told(finished, EXIT_USAGE, "CANVAS_TOKEN")
    await assert_no_run(database)


async def test_a_token_whose_scopes_are_too_narrow(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    narrow = await token_of(server, "system/Patient.read")
    finished = await run_command(environment(server.url, database_dsn, CANVAS_TOKEN=narrow), "sync")
    assert_told(finished, EXIT_USAGE, "scope")
    assert narrow not in finished.err
    await assert_no_run(database)


async def token_of(server: SandboxServer, scope: str = "") -> str:
    form = {"grant_type": "client_credentials", "client_id": server.client_id, "client_secret": server.client_secret}
    form |= {"scope": scope} if scope else {}
    async with aiohttp.ClientSession() as session, session.post(f"{server.url}/auth/token/", data=form) as answer:
        token: str = (await answer.json())["access_token"]
        return token


async def test_a_rotated_secret_is_read_by_the_next_command(
    server: SandboxServer, database_dsn: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("last month's\n")
    variables = environment(server.url, database_dsn, CANVAS_CLIENT_SECRET="", CANVAS_CLIENT_SECRET_FILE=str(file))
    assert_told(await run_command(variables, "sync"), EXIT_USAGE, "CANVAS_CLIENT_SECRET")
    file.write_text(f"{server.client_secret}\n")
    assert (await run_command(variables, "sync")).code == EXIT_OK


async def test_a_token_that_is_rotated_during_a_run_is_read_again(
    database_dsn: str, database: asyncpg.Connection, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    rotation = asyncio.Lock()  # nobody is refused before the new token is in the file
    searches = 0

    @web.middleware
    async def rotate(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal searches
        if request.path == "/Communication":
            async with rotation:
                searches += 1
                if searches == 4:
                    rotating.expire_tokens()
                    file.write_text(await token_of(rotating))
        return await handler(request)

    async with SandboxServer(clinic_of_a_few(), middlewares=[rotate]) as rotating:
        file.write_text(await token_of(rotating))
        variables = environment(rotating.url, database_dsn, CANVAS_TOKEN_FILE=str(file))
        finished = await run_command(variables, "sync")
        assert finished.code == EXIT_OK, finished.err
        assert await ids_of(database) == {one["id"] for one in rotating.clinic}


# Arguments


@pytest.mark.parametrize(
    ("arguments", "stdin", "word"),
    [
        (["backfill", "--patients-file", "-"], f"Patient/ok\n{CANARY}!\n", "line 2"),
        (["backfill", "--patients-file", "-"], "# nobody\n\n", "names nobody"),
        (["backfill", "--patients-file", "-"], b"\xef\xbb\xbfok\n\xff\xfe", "line 2"),
        (["backfill", "--patients-file", f"/no/such/{CANARY}"], "", "--patients-file: No such file"),
        (["backfill", f"Patient/{CANARY}"], "", "no such command, option or argument"),
        (["backfill", CANARY, CANARY], "", "no such command, option or argument"),
        (["backfill", f"--{CANARY}-4150cd20de8a470aa570a852859ac87e"], "", "no such command, option or argument"),
        (["backfill", "--since", CANARY], "", "--since: it takes a day such as 2024-01-31"),
        (["backfill", f"--dry-run={CANARY}"], "", "--dry-run"),
        ([f"Patient/{CANARY}"], "", "no such command, option or argument"),
        (["backfill", "--id", "not an id"], "", "--id"),
        (["backfill", "--practitioner", "not an id"], "", "--practitioner"),
        (["backfill", "--practitioner", ""], "", "--practitioner names nobody"),
        (["backfill", "--practitioner", "ok", "--practitioner", " "], "", "--practitioner names nobody"),
        (["backfill", "--practitioner", "Practitioner/"], "", "--practitioner names nobody"),
        (["backfill", "--dry-run", "--id", ""], "", "--id names no message"),
        (["backfill", "--id", "#x"], "", "--id names no message"),
        (["backfill", "--since", "yesterday"], "", "--since"),
        (["backfill", "--since", "2024-02-02", "--until", "2024-02-02"], "", "--since"),
        (["sync", "--quick", "--accept-deletions"], "", "--quick"),
        (["sync", "--no-such-option"], "", "--no-such-option"),
        (["no-such-command"], "", "no-such-command"),
    ],
)
async def test_a_wrong_argument_is_refused_before_anything_happens(
    arguments: list[str],
    stdin: str | bytes,
    word: str,
    server: SandboxServer,
    database_dsn: str,
    database: asyncpg.Connection,
) -> None:
    finished = await run_command(environment(server.url, database_dsn), *arguments, stdin=stdin)
    assert finished.code == EXIT_USAGE, finished.err
    assert word in finished.err
    assert_discreet(finished)
    assert server.requests == 0
    await assert_untouched(database)
