"""A body that takes longer than its search's lease: other tasks go on meanwhile, and the lease is renewed."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import asyncpg

from tests.faults.test_leases import LEASE, LEASED_UNTIL, WALKS, leases_are_not_renewed
from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import mirror_settings
from worker.jobs.run import claims
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync
from worker.load import worklist
from worker.reader import parent

if TYPE_CHECKING:
    from asyncio.subprocess import Process

BODY = "<p>Made up.</p>" * 1_000
SENDERS_LEASE = LEASED_UNTIL.replace("recipient", "sender")


async def walks_of_a_slow_body(dsn: str) -> int:
    """Mirror a letter, and stop the process that reads it until the lease, as it was given, is over.

    Return how often its search was walked. The other search ends only then, and whoever walked that looks for more.
    """
    send, claim_search = parent._send, worklist.claim_search
    lease_over, looked = asyncio.Event(), asyncio.Event()
    database = await asyncpg.connect(dsn)

    async def stopping(child: Process, number: int, body: bytes) -> None:
        if lease_over.is_set():
            return await send(child, number, body)
        os.kill(child.pid, signal.SIGSTOP)
        await send(child, number, body)
        given = await database.fetchval(SENDERS_LEASE)
        while await database.fetchval("SELECT clock_timestamp() <= $1", given):  # noqa: ASYNC110 - the server has no event
            await asyncio.sleep(0.02)
        lease_over.set()
        await looked.wait()
        os.kill(child.pid, signal.SIGCONT)
        return None

    async def looking(*arguments: Any) -> worklist.Claim | None:
        claim = await claim_search(*arguments)
        if lease_over.is_set():
            looked.set()
        return claim

    async def wait(_path: str, query: dict[str, str]) -> None:
        if "recipient" in query:
            await lease_over.wait()

    source = BareSource([letter("one", text=BODY, sent="2024-05-04T10:00:00Z")], before=wait)
    variables = {"MIRROR_CONCURRENCY": "2", "MIRROR_PATIENCE": "1s"}
    try:
        with (
            patch.object(parent, "_send", stopping),
            patch.object(worklist, "claim_search", looking),
            patch.object(claims, "LEASE_MIN", LEASE),
        ):
            async with source.serve() as url:
                result = await sync(mirror_settings(url, dsn, **variables))
        assert result.outcome is Outcome.COMPLETE
        assert await database.fetchval("SELECT body_text FROM canvas.message") == "\n\n".join(["Made up."] * 1_000)
        return {row["parameter"]: int(row["walks"]) for row in await database.fetch(WALKS)}["sender"]
    finally:
        await database.close()


async def test_a_body_that_takes_longer_than_the_lease(database_dsn: str) -> None:
    assert await walks_of_a_slow_body(database_dsn) == 1


async def test_without_renewal_its_search_is_walked_again(database_dsn: str) -> None:
    """Sabotage: the other walk of the same run takes the search away."""
    with leases_are_not_renewed():
        assert await walks_of_a_slow_body(database_dsn) > 1
