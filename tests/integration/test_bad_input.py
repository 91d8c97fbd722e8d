"""What sources and warehouses get wrong, each through the real command.

Every case ends in one clear message (or a quarantine row) and the right exit code; nothing is half-written, and no word
of a message or reference to a patient is shown.
"""

from __future__ import annotations

import json
import socket
import ssl
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import trustme
from aiohttp import web

from tests.integration.loopback import Upstream
from tests.integration.mirroring import IN_HASTE, environment, ids_of, message, run_command
from tests.integration.verdicts import (
    CANARY,
    IMPATIENT,
    VICTIM,
    assert_discreet,
    assert_no_run,
    assert_told,
    clinic_of_a_few,
)
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_SOURCE, EXIT_USAGE, EXIT_WAREHOUSE
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    import asyncpg
    from aiohttp.typedefs import Handler, Middleware

    from worker.sandbox.population import Clinic

Key = TypeVar("Key")

SIDES = ("recipient", "sender")


@pytest.fixture
async def server() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(clinic_of_a_few()) as started:
        yield started


async def count_of_everything(database: asyncpg.Connection) -> dict[str, int]:
    """Return how many rows each table of the mirror has."""
    tables = await database.fetch(
        "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname IN ('canvas', 'canvas_ops')"
    )
    return {t["name"]: await database.fetchval(f"SELECT count(*) FROM {t['name']}") for t in tables}  # noqa: S608


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
        assert_told(await run_command(variables, "sync"), EXIT_USAGE, "certificate", "MIRROR_CA_FILE")
        assert (upstream.seen, upstream.asked_for_tokens) == ([], [])
        await assert_no_run(database)
        named = await run_command(variables | {"MIRROR_CA_FILE": str(tmp_path / "ca.pem")}, "sync", "--accept-roster")
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
    for arguments in (
        ["sync"],
        ["backfill"],
        ["backfill", "--dry-run"],
        ["backfill", "--dry-run", "--id", "x"],
        ["replay"],
    ):
        assert_told(await run_command(variables, *arguments), code, word, clinic=server.clinic)
    assert server.requests == requests
    assert await count_of_everything(database) == rows


async def test_a_database_of_another_encoding_is_left_alone(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    """It could not hold every text; that is said before anything is written, by every command that would write."""
    name = f"latin_{uuid4().hex}"
    await database.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        variables = environment(server.url, urlsplit(database_dsn)._replace(path=f"/{name}").geturl())
        for command in ("sync", "backfill", "replay", "migrate", "check"):
            finished = await run_command(variables, command)
            assert finished.code == EXIT_WAREHOUSE, finished.err
            assert "the database's encoding is LATIN1" in finished.out + finished.err
            assert "ENCODING 'UTF8'" in finished.out + finished.err
            assert_discreet(finished)
    finally:
        await database.execute(f"DROP DATABASE {name} WITH (FORCE)")


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


@pytest.mark.parametrize(
    ("kind", "code"), [("html", EXIT_USAGE), ("another_resource", EXIT_SOURCE), ("an_outcome", EXIT_SOURCE)]
)
async def test_a_source_that_answers_something_else_from_the_start(
    kind: str, code: int, database_dsn: str, database: asyncpg.Connection
) -> None:
    """What is no FHIR at all is a wrong URL, or maintenance."""
    body, reason = NO_PAGES[kind]
    said = "and not the FHIR API" if code == EXIT_USAGE else reason
    async with SandboxServer(clinic_of_a_few(), middlewares=[spoil({"": body}, lambda _request: "")]) as server:
        finished = await run_command(environment(server.url, database_dsn, **IMPATIENT), "sync")
        assert_told(finished, code, said, "CANVAS_FHIR_URL", clinic=server.clinic)
    await assert_no_run(database)
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.source") == 0


@pytest.mark.parametrize(("status", "code"), [(404, EXIT_USAGE), (302, EXIT_USAGE), (500, EXIT_SOURCE)])
async def test_a_source_that_refuses_from_the_start(status: int, code: int, database_dsn: str) -> None:
    """A wrong URL is a setting, and not tried again; trouble at the source is."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/Communication":
            return web.Response(status=status, headers={"Location": "/elsewhere"})
        return await handler(request)

    async with SandboxServer(clinic_of_a_few(), middlewares=[refuse]) as server:
        finished = await run_command(environment(server.url, database_dsn, **IMPATIENT), "sync")
        assert_told(finished, code, "CANVAS_FHIR_URL", clinic=server.clinic)


async def test_searches_that_answer_something_else_fail_alone(database_dsn: str, database: asyncpg.Connection) -> None:
    clinic = clinic_of_a_few()
    searches = [(parameter, one.reference) for one in clinic.practitioners.values() for parameter in SIDES]
    spoilt = dict(zip(searches, NO_PAGES.values(), strict=False))
    assert len(spoilt) == len(NO_PAGES)
    spoiler = spoil({search: body for search, (body, _) in spoilt.items()}, search_of)
    async with SandboxServer(clinic, middlewares=[spoiler]) as server:
        finished = await run_command(environment(server.url, database_dsn, **IMPATIENT), "sync", first=IN_HASTE)
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
        finished = await run_command(environment(server.url, database_dsn, **IMPATIENT), "sync", first=IN_HASTE)
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
