"""The small form of the proof `kills`, and that it catches what it is there for."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.faults.frozen import frozen_warehouse, frozen_worker
from tests.faults.kills import kill_once, kills, open_lane, two_at_once
from tests.faults.outages import embedded_server, embedded_server_killed, outages
from tests.faults.proof import ProofResult
from tests.integration.test_lock import PATIENCE
from worker.load.embedded.config import HBA_CONFIG
from worker.load.postgres.database import open_warehouse

if TYPE_CHECKING:
    from worker.load.embedded import EmbeddedServer

pytestmark = pytest.mark.proof  # by `make test-proofs`

SEED = 1

ACCEPTED_BEFORE_LANDED = """
from dataclasses import replace
from worker.load import ledger, worklist
land, close, kept = worklist.land_batch, ledger.close_run, []

async def land_later(connection, warehouse, claim, batch, finish):
    kept.append(batch.messages)
    return await land(connection, warehouse, claim, replace(batch, messages=(), rejected=()), finish)

async def land_now(connection, warehouse, run_id, *arguments, **named):
    for messages in kept:
        await worklist.land_messages(connection, warehouse, messages, run_id=run_id)
    return await close(connection, warehouse, run_id, *arguments, **named)

worklist.land_batch, ledger.close_run = land_later, land_now
"""

NEVER_RESUMED = """
from worker.jobs.run import plan
plan.resumption = lambda died, **_: plan.Resumption(None, tuple(run.id for run in died))
"""

NO_RUN_LOCK = """
from worker.load.run_lock import RunLock

async def ensure(self):
    return False

RunLock.ensure = ensure
"""

LEASE_NOT_LOOKED_AT = """
from worker.load.postgres.database import Warehouse
sql, always = Warehouse.sql, "SELECT 0 WHERE $1::bigint > 0 AND $2::uuid IS NOT NULL"
Warehouse.sql = lambda self, name: always if name == "worklist/check_lease" else sql(self, name)
"""

DRAINS_FOR_EVER = """
from worker.cli import process
process.DRAIN_S = 3600
"""


async def test_a_killed_process_leaves_what_the_next_one_completes(warehouse_url: str) -> None:
    """SIGKILL and SIGTERM in every job, and two processes at once."""
    assert (await kills("small", SEED, warehouse_url)).violations == []


async def test_a_worker_that_comes_back_too_late_lands_nothing(warehouse_url: str) -> None:
    assert (await frozen_worker("small", SEED, warehouse_url)).violations == []


async def test_a_signal_ends_a_worker_whose_warehouse_hangs(warehouse_url: str) -> None:
    assert (await frozen_warehouse("small", SEED, warehouse_url)).violations == []


async def test_the_next_sync_starts_a_killed_embedded_server() -> None:
    assert (await embedded_server_killed("small", SEED)).violations == []


async def test_an_outage_costs_no_message_and_no_manual_step(warehouse_url: str) -> None:
    """A source, and a warehouse, that die in the middle of a nightly run and come back."""
    assert (await outages("small", SEED, warehouse_url)).violations == []


async def test_a_host_that_is_gone_keeps_nothing() -> None:
    """Over TCP the server gives up a session within a minute of its client's silence, the lock's as any other."""
    asked = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")

    address = f"127.1.{os.getpid() >> 8 & 255}.{os.getpid() & 254 | 1}"

    async def show(connection: asyncpg.Connection) -> list[str]:
        return [await connection.fetchval(f"SHOW {name}") for name in asked]

    async def connection_is_used(connection: asyncpg.Connection) -> None:
        await connection.fetchval("SELECT 1")

    with embedded_server() as server:
        local = await asyncio.to_thread(listen, server, address)
        database = await asyncpg.connect(local)
        await database.execute("ALTER ROLE mirror PASSWORD 'made-up'")
        await database.close()
        dsn = urlsplit(local)._replace(netloc=f"mirror:made-up@{address}", query="").geturl()
        async with open_warehouse(dsn, "canvas", PATIENCE) as warehouse:
            connection = await warehouse.single("message-mirror sync", connection_is_used)
            of_the_lock = await show(connection)
            await connection.close()
            assert [await warehouse.work(show), of_the_lock] == [["30", "10", "3", "60000"]] * 2


def listen(server: EmbeddedServer, address: str) -> str:
    """Start an embedded server that listens on a loopback address as well, for those who know the password."""
    rules = server.directory.parent / "hba.conf"
    rules.write_text(f"{HBA_CONFIG}host all all 127.0.0.0/8 scram-sha-256\n")
    rules.chmod(0o644)
    server.extra_settings |= {"listen_addresses": address, "hba_file": str(rules)}
    return server.start()


@pytest.mark.parametrize(
    ("sabotage", "told"),
    [(ACCEPTED_BEFORE_LANDED, "its search is accepted"), (NEVER_RESUMED, "did not take up run")],
)
async def test_a_kill_finds(sabotage: str, told: str, warehouse_url: str) -> None:
    """Sabotages: searches that count as accepted before their rows are landed; died runs that are never resumed."""
    result = ProofResult("kills", SEED)
    async with open_lane(f"{SEED}", warehouse_url, result, sabotage) as lane:
        await kill_once(lane, "sync", signal.SIGKILL, at=10)
    assert any(told in one for one in result.violations)


async def test_two_at_once_find_a_missing_lock(warehouse_url: str) -> None:
    """Sabotage: nobody takes the run lock."""
    result = ProofResult("kills", SEED)
    async with open_lane(f"{SEED}", warehouse_url, result, NO_RUN_LOCK) as lane:
        await two_at_once(lane)
    assert any("at once" in one for one in result.violations)


async def test_a_late_worker_finds_an_ignored_lease(warehouse_url: str) -> None:
    """Sabotage: batches are landed whoever holds the lease."""
    result = await frozen_worker("small", SEED, warehouse_url, sabotage=LEASE_NOT_LOOKED_AT)
    assert any("the late one changed something" in one for one in result.violations)


async def test_a_hanging_warehouse_finds_an_endless_drain(warehouse_url: str) -> None:
    """Sabotage: whoever is told to stop waits for the warehouse as long as it takes."""
    result = await frozen_warehouse("small", SEED, warehouse_url, sabotage=DRAINS_FOR_EVER)
    assert any("still there" in one for one in result.violations)
