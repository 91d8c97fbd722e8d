"""What stands in the way of a connection, and is not mended by waiting."""

from __future__ import annotations

import asyncio
import os
import pickle
import ssl
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import trustme
from structlog.testing import capture_logs

from tests.integration.loopback import Upstream
from tests.integration.mirroring import run_command
from tests.integration.verdicts import CANARY, assert_told
from worker.errors import EXIT_USAGE, EXIT_WAREHOUSE, SettingsError, WarehouseAway, WarehouseRefused
from worker.load.postgres.database import Warehouse, open_warehouse
from worker.load.postgres.dsn import NOT_KNOWN, EmbeddedUrl, can_do_without_tls, connect_arguments, place_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import asyncpg

    from worker.load.postgres.database import Connection

# So long that a test which waits for it ends in its time-out.
PATIENCE = timedelta(hours=1)
NOBODY = 65534


async def nothing(_connection: Connection) -> None:
    """Prepare a connection for nothing."""


@pytest.fixture
def closed_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a HOME that this user may not enter; root becomes nobody for as long."""
    home = tmp_path / "home"
    home.mkdir(mode=0o000)
    monkeypatch.setenv("HOME", str(home))
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(NOBODY)
    yield home
    os.seteuid(uid)
    home.chmod(0o700)


@pytest.mark.usefixtures("closed_home")
async def test_a_home_that_is_closed_to_us_is_said_at_once() -> None:
    """The driver looks for passwords and certificates below HOME."""
    with pytest.raises(WarehouseRefused, match="this user may not open") as refused:
        async with open_warehouse("postgresql://writer@127.0.0.1:1/warehouse", "canvas", PATIENCE):
            pytest.fail("connected")
    assert "HOME" in refused.value.next


@pytest.mark.parametrize("query", ["sslmode=verify-full&sslrootcert=/no/such/file", "sslmode=perhaps"])
async def test_parameters_that_cannot_be_met_are_said_at_once(query: str) -> None:
    with pytest.raises(SettingsError, match="WAREHOUSE_DSN"):
        async with open_warehouse(f"postgresql://writer@127.0.0.1:1/warehouse?{query}", "canvas", PATIENCE):
            pytest.fail("connected")


@pytest.mark.parametrize("parameter", NOT_KNOWN)
def test_a_parameter_that_only_other_drivers_know_is_named(parameter: str) -> None:
    """Sent to the server it would come back as a setting that does not exist."""
    with pytest.raises(SettingsError, match=f"asks for {parameter},") as wrong:
        connect_arguments(f"postgresql://127.0.0.1/x?{parameter}={CANARY}")
    assert parameter in wrong.value.next
    assert CANARY not in wrong.value.told()


@pytest.mark.parametrize("query", [f"{CANARY}=1", "statement_timeout=soon", "wal_level=logical"])
@pytest.mark.parametrize("of", ["the pool", "a connection of its own"])
async def test_a_setting_that_the_server_will_not_have_is_a_wrong_setting_of_ours(
    query: str, of: str, database_dsn: str
) -> None:
    """Of no such name, of the whole server, or not to be set to that."""
    dsn = f"{database_dsn}&{query}"
    warehouse = Warehouse(dsn, "canvas", PATIENCE, pool_size=1)

    with pytest.raises(SettingsError) as wrong:
        await (warehouse.connect() if of == "the pool" else warehouse.single("x", nothing))
    assert "parameters of WAREHOUSE_DSN" in wrong.value.next
    assert CANARY not in wrong.value.told()


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("SELECT FROM no_such_table", "owns the schemas"),
        ("CREATE TABLE no_such_schema.a ()", "owns the schemas"),
        ("CREATE VIEW pg_temp.v AS SELECT 1 AS a; CREATE OR REPLACE VIEW pg_temp.v AS SELECT 1 AS b", "appendix A"),
        ("SELECT no_such_column", "appendix A"),
    ],
)
async def test_a_refused_statement_says_who_can_help(statement: str, word: str, database_dsn: str) -> None:
    """To migrate helps where something is not there, and not where it is of another version."""
    async with open_warehouse(database_dsn, "canvas", PATIENCE) as warehouse:
        with pytest.raises(WarehouseRefused) as refused:
            await warehouse.work(lambda connection: connection.execute(statement))
    assert word in refused.value.next


ANOTHER_SERVERS = {
    "PGSSLMODE": "verify-full",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLROOTCERT": "/no/such/file",
    "PGTARGETSESSIONATTRS": "standby",
    "PGPORT": "abc",
    "PGPASSFILE": "/no/such/file",
    "PGGSSLIB": "none",
}


@pytest.mark.parametrize("variable", ANOTHER_SERVERS)
async def test_what_the_environment_asks_of_another_server_is_not_asked_of_the_embedded_one(
    variable: str, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, ANOTHER_SERVERS[variable])
    dsn = EmbeddedUrl(database_dsn, Path("/log"))
    async with open_warehouse(dsn, "canvas", timedelta(seconds=5)) as warehouse:
        assert await warehouse.work(lambda connection: connection.fetchval("SELECT 1")) == 1


def test_the_embedded_servers_url_is_whole_in_another_process() -> None:
    dsn = pickle.loads(pickle.dumps(EmbeddedUrl("postgresql://mirror@/canvas", Path("/log"))))  # noqa: S301  our own
    assert (dsn, dsn.log) == ("postgresql://mirror@/canvas", Path("/log"))


def test_where_a_warehouse_is_can_be_said() -> None:
    assert place_of(EmbeddedUrl("postgresql://mirror@/canvas", Path("/srv/w/log"))) == "the embedded server in /srv/w"
    assert CANARY not in place_of(f"postgresql://u:{CANARY}@db.example.com/x")


async def test_an_embedded_server_that_is_away_is_no_setting_of_the_users(tmp_path: Path) -> None:
    dsn = EmbeddedUrl(f"postgresql://mirror@/canvas?host={tmp_path}&port=5432", tmp_path / "log")
    with pytest.raises(WarehouseAway) as away:
        async with open_warehouse(dsn, "canvas", timedelta(seconds=0.1)):
            pytest.fail("connected")
    assert away.value.next == f"The same command starts the embedded server again; its log is in {tmp_path / 'log'}."


# URLs that are none, most often for a password that is not escaped

UNREADABLE = [
    f"u:{CANARY}#w@127.0.0.1:1/x",
    f"u:{CANARY}/w@127.0.0.1:1/x",
    f"u:{CANARY}?w@127.0.0.1:1/x",
    f"u:{CANARY}[w@127.0.0.1:1/x",
    f"u:{CANARY}]w@127.0.0.1:1/x",
    f"u:{CANARY}@w@127.0.0.1:1/x",
    "u:12#w@127.0.0.1:1/x",
    "u:12/w@127.0.0.1:1/x",
    "u:12?w@127.0.0.1:1/x",
    "[u@127.0.0.1:1/x",
    "u@127.0.0.1:abc/x",
    "u@127.0.0.1:99999/x",
    "u@127.0.0.1:0/x",
    "u@127.0.0.1:1,,127.0.0.1:2/x",
    "u@127.0.0.1:1/x?port=abc",
    "/x?host=127.0.0.1&port=1,99999",
    "/x?host=::1",
    "/x?host=[",
]


@pytest.mark.parametrize("rest", UNREADABLE)
def test_a_url_that_is_none_is_said_to_be_none(rest: str) -> None:
    """Whatever asyncpg or the standard library would stumble over is a setting's fault, and nothing of it is quoted."""
    with pytest.raises(SettingsError, match="WAREHOUSE_DSN cannot be read") as wrong:
        connect_arguments(f"postgresql://{rest}")
    assert "%2F %23" in wrong.value.next
    assert CANARY not in f"{wrong.value.what} {wrong.value.safe} {wrong.value.next}"


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_url_in_quotes_is_said_to_be_in_quotes(quote: str) -> None:
    """Its password may be escaped as it should be."""
    with pytest.raises(SettingsError, match="quotes") as wrong:
        connect_arguments(f"{quote}postgresql://u:{CANARY}@127.0.0.1/x{quote}")
    assert "%2F" not in wrong.value.next
    assert CANARY not in wrong.value.told()


def test_a_port_in_the_environment_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """PGPORT stands in for a port that the URL leaves out."""
    monkeypatch.setenv("PGPORT", "abc")
    with pytest.raises(SettingsError, match="WAREHOUSE_DSN") as wrong:
        connect_arguments("postgresql://127.0.0.1/x")
    assert "PGPORT" in wrong.value.next


@pytest.mark.parametrize(
    "rest",
    [
        "u:p%2Fw%23%5B@127.0.0.1:1/x",
        "u:p:w@[::1]:1,localhost/x",
        "/x?host=/run/postgresql&port=5433",
        "/x?host=[::1],localhost:5433",
        "",
    ],
)
def test_a_url_that_is_one_is_passed_on_as_it_stands(rest: str) -> None:
    """Escaped passwords, several hosts, sockets and no host at all are what asyncpg takes, all on this machine."""
    assert connect_arguments(f"postgresql://{rest}") == {"dsn": f"postgresql://{rest}"}


@pytest.mark.parametrize("command", ["status", "check"])
async def test_a_url_that_is_none_ends_a_command_as_a_wrong_setting_does(command: str) -> None:
    """The exit code says that trying again is no use."""
    variables = {"WAREHOUSE_DSN": f"postgresql://u:{CANARY}/w@127.0.0.1:1/x"}
    finished = await run_command(variables, command)
    if command == "status":
        assert_told(finished, EXIT_USAGE, "WAREHOUSE_DSN cannot be read", "%2F")
    assert "WAREHOUSE_DSN cannot be read" in finished.out + finished.err
    assert CANARY not in finished.out + finished.err


# TLS that cannot be had


@asynccontextmanager
async def stand_in(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answer the request for TLS as a PostgreSQL server does: `N`, or `S` and a handshake. Give the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(8)
            writer.write(answer)
            await writer.drain()
            if tls is not None:
                await writer.start_tls(tls)
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone, as it should
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def certificate(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_a_server_without_tls_is_said_at_once() -> None:
    """It is no outage: without a server that speaks TLS, or another sslmode, no waiting helps."""
    async with stand_in(b"N") as port:
        with pytest.raises(SettingsError, match="does not speak TLS") as wrong:
            async with open_warehouse(f"postgresql://u@127.0.0.1:{port}/x?sslmode=require", "canvas", PATIENCE):
                pytest.fail("connected")
    assert "sslmode" in wrong.value.next


async def test_a_listener_that_is_not_postgresql_is_said_to_be_none() -> None:
    """On this machine nobody asks for TLS: whoever does not know the question is another kind of server."""
    async with Upstream().serve() as upstream:
        with pytest.raises(SettingsError, match="is not PostgreSQL") as wrong:
            async with open_warehouse(f"postgresql://u@127.0.0.1:{upstream.port}/x", "canvas", PATIENCE):
                pytest.fail("connected")
    assert "port" in wrong.value.next


@pytest.mark.parametrize(
    ("rest", "pgsslmode", "can"),
    [
        ("127.0.0.1:1/x", "", True),
        ("127.0.0.1:1/x?sslmode=prefer", "require", True),
        ("127.0.0.1:1/x?sslmode=require", "", False),
        ("127.0.0.1:1/x", "verify-full", False),
        ("db.example.com/x", "prefer", False),
        ("db.example.com/x?sslmode=prefer", "", True),
    ],
)
def test_who_can_do_without_tls(rest: str, pgsslmode: str, can: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", pgsslmode)
    assert can_do_without_tls(f"postgresql://{rest}") is can


@pytest.mark.parametrize(("name", "trusted"), [("127.0.0.1", False), ("db.example.com", True)])
async def test_a_certificate_that_does_not_convince_is_said_at_once(name: str, trusted: bool, tmp_path: Path) -> None:
    """Neither one of an authority that nobody named, nor one for another host."""
    authority, other = trustme.CA(), trustme.CA()
    (authority if trusted else other).cert_pem.write_to_path(tmp_path / "ca.pem")
    async with stand_in(b"S", certificate(authority, name)) as port:
        query = f"sslmode=verify-full&sslrootcert={tmp_path / 'ca.pem'}"
        with pytest.raises(SettingsError, match="names another host" if trusted else "issuer") as wrong:
            async with open_warehouse(f"postgresql://u@127.0.0.1:{port}/x?{query}", "canvas", PATIENCE):
                pytest.fail("connected")
    assert "sslrootcert" in wrong.value.next
    assert ("verify-ca" in wrong.value.next) is trusted


# Who is not there, and who does not let us in


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1:1", "nothing listens"),
        ("localhost:1", "nothing listens"),
        ("no-such-host.invalid", "not known here"),
        ("?host=/no/such/directory", "no server's socket"),
    ],
)
async def test_an_absent_server_is_described_in_plain_words(host: str, words: str) -> None:
    """And the next step leads on, wherever it is read."""
    separator = "&" if "?" in host else "?"
    dsn = f"postgresql://{'/x' if '?' in host else 'u@'}{host}{'' if '?' in host else '/x'}{separator}sslmode=disable"
    with pytest.raises(WarehouseAway, match=words) as away:
        async with open_warehouse(dsn, "canvas", timedelta(seconds=0.1)):
            pytest.fail("connected")
    assert "message-mirror check" not in away.value.next


async def test_a_role_that_is_not_let_in_is_a_wrong_setting(database_dsn: str) -> None:
    """Credentials end with the exit code that the README gives them; a missing database does not."""
    there = urlsplit(database_dsn)
    refused = there._replace(netloc="no_such_role@").geturl()
    assert_told(
        await run_command({"WAREHOUSE_DSN": refused}, "status"), EXIT_USAGE, "SQLSTATE 28000", "password", ".pgpass"
    )
    missing = there._replace(path="/no_such_database").geturl()
    assert_told(await run_command({"WAREHOUSE_DSN": missing}, "status"), EXIT_WAREHOUSE, "SQLSTATE 3D000")


async def test_an_outage_that_many_units_meet_is_said_once(database_dsn: str) -> None:
    async with open_warehouse(database_dsn, "canvas", timedelta(seconds=1)) as warehouse:
        await warehouse.close()
        units = [warehouse.work(lambda connection: connection.fetch("SELECT 1")) for _ in range(8)]
        with capture_logs() as logs:
            ends = await asyncio.gather(*units, return_exceptions=True)
    assert [type(end) for end in ends] == [WarehouseAway] * 8
    assert [log["event"] for log in logs] == ["the warehouse did not answer, will try again"]


async def test_a_role_without_connections_left_is_told_so(database_dsn: str, database: asyncpg.Connection) -> None:
    """The server did answer: nobody is to look for it at its host and port."""
    role = f"writer_{uuid4().hex}"
    await database.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    dsn = urlsplit(database_dsn)._replace(netloc=f"{role}@").geturl()
    try:
        async with open_warehouse(dsn, "canvas", timedelta(seconds=0.5)) as warehouse:
            with capture_logs() as logs, pytest.raises(WarehouseAway, match="no connection left") as away:
                await warehouse.single("second", nothing)
    finally:
        await database.execute(f"DROP ROLE {role}")
    assert "CONNECTION LIMIT" in away.value.next
    assert [log["reason"] for log in logs] == ["it has no connection left for this role"]


async def test_a_server_of_another_kind_than_asked_for_is_told_so(database_dsn: str) -> None:
    with pytest.raises(WarehouseAway, match="target_session_attrs"):
        async with open_warehouse(f"{database_dsn}&target_session_attrs=standby", "canvas", timedelta(seconds=0.1)):
            pytest.fail("connected")


async def test_a_server_that_answers_every_other_time_is_not_said_to_be_away_as_often(database_dsn: str) -> None:
    async with open_warehouse(database_dsn, "canvas", PATIENCE) as warehouse:
        tries = 0

        async def every_other_time(_connection: Connection) -> None:
            nonlocal tries
            tries += 1
            if tries % 2:
                raise OSError

        with capture_logs() as logs:
            for _ in range(4):
                await warehouse.work(every_other_time)
    assert tries == 8
    assert len(logs) == 1
