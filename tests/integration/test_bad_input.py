"""What people, sources and warehouses get wrong, each through the real command.

Every case ends in one clear message (or a quarantine row) and the right exit code; nothing is half-written, and no word
of a message or reference to a patient is shown.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme
from aiohttp import web

from tests.integration.loopback import Upstream
from tests.integration.mirroring import (
    PRACTITIONER,
    Finished,
    environment,
    ids_of,
    message,
    run_command,
)
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_SOURCE, EXIT_USAGE, EXIT_WAREHOUSE
from worker.sandbox.population import Clinic, make_clinic
from worker.sandbox.server import SandboxServer
from worker.settings import KNOWN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    import asyncpg
    from aiohttp.typedefs import Handler, Middleware

Key = TypeVar("Key")

CANARY = "canary-in-a-cage"
SIDES = ("recipient", "sender")
VICTIM = ("recipient", f"Practitioner/{PRACTITIONER}")

# A page that is at fault is asked for six times in each of three walks: not with the usual waits.
IMPATIENT = {"MIRROR_PATIENCE": "0.1s"}


def clinic_of_a_few() -> Clinic:
    clinic = make_clinic(messages=60, practitioners=4, patients=10, seed=3, edition="current")
    clinic.put(
        message("canary", text=CANARY, recipient=[{"reference": VICTIM[1]}], sender={"reference": "Patient/x-1"})
    )
    return clinic


@pytest.fixture
async def server() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(clinic_of_a_few()) as started:
        yield started


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


async def count_of_everything(database: asyncpg.Connection) -> dict[str, int]:
    """Return how many rows each table of the mirror has."""
    tables = await database.fetch(
        "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname IN ('canvas', 'canvas_ops')"
    )
    return {t["name"]: await database.fetchval(f"SELECT count(*) FROM {t['name']}") for t in tables}  # noqa: S608


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


# Who cannot be reached


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


async def test_a_source_that_is_not_there(database_dsn: str, database: asyncpg.Connection) -> None:
    variables = environment(f"http://127.0.0.1:{unused_port()}", database_dsn, **IMPATIENT)
    assert_told(await run_command(variables, "sync"), EXIT_SOURCE, "CANVAS_FHIR_URL")
    await assert_no_run(database)


async def test_a_warehouse_that_is_not_there(server: SandboxServer) -> None:
    variables = environment(server.url, f"postgresql://127.0.0.1:{unused_port()}/canvas", **IMPATIENT)
    assert_told(await run_command(variables, "sync"), EXIT_WAREHOUSE, "warehouse cannot be reached")
    assert server.requests == 0


async def test_a_database_that_is_not_there(server: SandboxServer, database_dsn: str) -> None:
    missing = urlsplit(database_dsn)._replace(path="/no_such_database").geturl()
    assert_told(await run_command(environment(server.url, missing), "sync"), EXIT_WAREHOUSE, "WAREHOUSE_DSN")
    assert server.requests == 0


async def test_a_self_signed_source_is_not_talked_to_until_its_authority_is_named(
    database_dsn: str, database: asyncpg.Connection, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with Upstream().serve(tls=tls_of(authority)) as upstream:
        variables = environment(upstream.url, database_dsn)
        assert_told(await run_command(variables, "sync"), EXIT_SOURCE, "certificate", "MIRROR_CA_FILE")
        assert (upstream.seen, upstream.asked_for_tokens) == ([], [])
        await assert_no_run(database)
        named = await run_command(variables | {"MIRROR_CA_FILE": str(tmp_path / "ca.pem")}, "sync")
        assert named.code == EXIT_OK, named.err
        assert upstream.seen


async def test_an_authority_file_without_a_certificate_is_named(
    server: SandboxServer, database_dsn: str, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    variables = environment(server.url, database_dsn, MIRROR_CA_FILE=str(tmp_path / "ca.pem"))
    assert_told(await run_command(variables, "sync"), EXIT_USAGE, "MIRROR_CA_FILE")
    assert server.requests == 0


def tls_of(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


# Warehouses that belong to something else


async def test_a_warehouse_that_a_newer_version_wrote_is_left_alone(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    variables = environment(server.url, database_dsn)
    assert (await run_command(variables, "sync")).code == EXIT_OK
    await database.execute("INSERT INTO canvas_ops.migration (name, checksum) VALUES ('migrations/9999_later', '')")
    await assert_refused_and_left_alone(variables, EXIT_WAREHOUSE, "newer than this worker", server, database)


async def test_a_warehouse_of_another_instance_is_left_alone(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    variables = environment(server.url, database_dsn)
    assert (await run_command(variables, "sync")).code == EXIT_OK
    another = variables | {"CANVAS_INSTANCE": "another"}
    await assert_refused_and_left_alone(another, EXIT_USAGE, "CANVAS_INSTANCE", server, database)


async def assert_refused_and_left_alone(
    variables: dict[str, str], code: int, word: str, server: SandboxServer, database: asyncpg.Connection
) -> None:
    requests, rows = server.requests, await count_of_everything(database)
    for arguments in (["sync"], ["backfill"]):
        assert_told(await run_command(variables, *arguments), code, word, clinic=server.clinic)
    assert server.requests == requests
    assert await count_of_everything(database) == rows


# Answers that are none

NO_PAGES = {
    "html": (f"<!doctype html><p>{CANARY}</p>", "not_json"),
    "empty": ("", "not_json"),
    "broken_off": ('{"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [{"resource": {', "not_json"),
    "a_list": (f'["{CANARY}"]', "not_json"),
    "another_resource": (f'{{"resourceType": "Patient", "id": "{CANARY}"}}', "not_a_bundle"),
    "another_bundle": ('{"resourceType": "Bundle", "type": "history", "entry": []}', "not_a_bundle"),
    "an_outcome": ('{"resourceType": "OperationOutcome", "issue": []}', "operation_outcome"),
}


def spoil(bodies: Mapping[Key, str], key: Callable[[web.Request], Key | None]) -> Middleware:
    """Answer the body of a request's `key`, said to be JSON, in place of what the sandbox has to say."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = key(request) if request.path == "/Communication" else None
        if asked is not None and asked in bodies:
            return web.Response(text=bodies[asked], content_type="application/json")
        return await handler(request)

    return middleware


def search_of(request: web.Request) -> tuple[str, str] | None:
    """Return parameter and value of a search by a person."""
    return next(((side, request.query[side]) for side in SIDES if side in request.query), None)


@pytest.mark.parametrize("kind", ["html", "another_resource", "an_outcome"])
async def test_a_source_that_answers_something_else_from_the_start(
    kind: str, database_dsn: str, database: asyncpg.Connection
) -> None:
    body, reason = NO_PAGES[kind]
    async with SandboxServer(clinic_of_a_few(), middlewares=[spoil({"": body}, lambda _request: "")]) as server:
        finished = await run_command(environment(server.url, database_dsn, **IMPATIENT), "sync")
        assert_told(finished, EXIT_SOURCE, reason, "CANVAS_FHIR_URL", clinic=server.clinic)
    await assert_no_run(database)
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.source") == 0


async def test_searches_that_answer_something_else_fail_alone(database_dsn: str, database: asyncpg.Connection) -> None:
    clinic = clinic_of_a_few()
    searches = [(parameter, one.reference) for one in clinic.practitioners.values() for parameter in SIDES]
    spoilt = dict(zip(searches, NO_PAGES.values(), strict=False))
    assert len(spoilt) == len(NO_PAGES)
    spoiler = spoil({search: body for search, (body, _) in spoilt.items()}, search_of)
    async with SandboxServer(clinic, middlewares=[spoiler]) as server:
        finished = await run_command(environment(server.url, database_dsn, **IMPATIENT), "sync")
        assert_told(finished, EXIT_INCOMPLETE, "4 searches, not_json", "2 searches, not_a_bundle", clinic=clinic)
        await assert_only_these_failed(database, {search: reason for search, (_, reason) in spoilt.items()})
        assert await ids_of(database) == ids_without(clinic, *spoilt)


async def test_a_later_page_that_is_html_keeps_the_pages_before(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    clinic = clinic_of_a_few()
    for number in range(120):
        clinic.put(message(f"more-{number}", recipient=[{"reference": VICTIM[1]}], sender={"reference": "Patient/x-1"}))
    html = spoil({VICTIM: CANARY}, lambda request: search_of(request) if "_offset" in request.query else None)
    async with SandboxServer(clinic, middlewares=[html]) as server:
        finished = await run_command(environment(server.url, database_dsn, **IMPATIENT), "sync")
        assert_told(finished, EXIT_INCOMPLETE, "1 searches, not_json", clinic=clinic)
        await assert_only_these_failed(database, {VICTIM: "not_json"})
        landed = await ids_of(database)
        assert ids_without(clinic, VICTIM) < landed
        assert len(landed - ids_without(clinic, VICTIM)) == 100


def ids_without(clinic: Clinic, *searches: tuple[str, str]) -> set[str]:
    """Return the ids that only other searches than these find."""
    missed = {clinic.resource(number)["id"] for search in searches for number in clinic.search(*search)}
    return {one["id"] for one in clinic} - missed


async def assert_only_these_failed(database: asyncpg.Connection, reasons: dict[tuple[str, str], str]) -> None:
    failed = await database.fetch(
        "SELECT parameter, value, reason FROM canvas_ops.search WHERE status IS DISTINCT FROM 'accepted'"
    )
    assert {(row["parameter"], row["value"]): row["reason"] for row in failed} == reasons
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.quarantine") == 0
    assert await database.fetchval("SELECT outcome FROM canvas_ops.run") == "incomplete"


async def test_a_next_link_to_another_host_is_not_followed(database_dsn: str, database: asyncpg.Connection) -> None:
    async with Upstream().serve() as stranger:

        @web.middleware
        async def lead_away(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            if request.path == "/Communication" and search_of(request) == VICTIM and isinstance(response, web.Response):
                page: dict[str, Any] = json.loads(response.text or "")
                page["link"] = [{"relation": "next", "url": f"{stranger.url}/Communication?_offset=100"}]
                return web.json_response(page)
            return response

        async with SandboxServer(clinic_of_a_few(), middlewares=[lead_away]) as server:
            finished = await run_command(environment(server.url, database_dsn, **IMPATIENT), "sync")
            assert_told(finished, EXIT_INCOMPLETE, "1 searches, foreign_next", clinic=server.clinic)
            await assert_only_these_failed(database, {VICTIM: "foreign_next"})
            assert (stranger.seen, stranger.asked_for_tokens) == ([], [])
            assert await ids_of(database) == {one["id"] for one in server.clinic}


# Entries that cannot be a row


async def test_bad_entries_are_kept_apart_and_the_run_is_complete(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    bad = {
        "no_id": message("", text=CANARY),
        "impossible_date": message("bad-date", text=CANARY, sent="2023-02-30T10:00:00Z"),
        "nul_character": message("bad-nul", text=f"{CANARY}\x00"),
    }
    del bad["no_id"]["id"]
    usable = {one["id"] for one in server.clinic}
    for resource in bad.values():
        server.clinic.put(resource)
    finished = await run_command(environment(server.url, database_dsn), "sync")
    assert finished.code == EXIT_OK, finished.err
    assert "3 new entries" in finished.out
    assert_discreet(finished, server.clinic)
    kept = await database.fetch("SELECT reason, entry FROM canvas_ops.quarantine")
    assert {row["reason"]: json.loads(row["entry"])["resource"] for row in kept} == bad
    assert await ids_of(database) == usable


# Arguments


@pytest.mark.parametrize(
    ("arguments", "stdin", "word"),
    [
        (["backfill", "--patients-file", "-"], f"Patient/ok\n{CANARY}!\n", "line 2"),
        (["backfill", "--patients-file", "-"], "# nobody\n\n", "names nobody"),
        (["backfill", "--patients-file", "-"], b"\xef\xbb\xbfok\n\xff\xfe", "line 2"),
        (["backfill", "--patients-file", "/no/such/file"], "", "/no/such/file"),
        (["backfill", "--id", "not an id"], "", "--id"),
        (["backfill", "--practitioner", "not an id"], "", "--practitioner"),
        (["backfill", "--since", "yesterday"], "", "--since"),
        (["backfill", "--since", "2024-02-02", "--until", "2024-02-02"], "", "--since"),
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
