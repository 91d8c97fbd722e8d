"""The small form of the proof, and for each kind of mistake that it is there for, that it catches it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.faults import cuts
from tests.faults.cut_cases import open_jobs
from tests.faults.cutting_proxy import Cut
from tests.faults.proof import ProofResult
from worker.load import land, missing, worklist
from worker.load.postgres.statements import statement
from worker.load.run_lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.load.postgres.database import Connection, Warehouse
    from worker.records import Message

pytestmark = pytest.mark.proof  # by `make test-proofs`

Sabotage: TypeAlias = "Callable[[pytest.MonkeyPatch], None]"
COMMIT = "COMMIT; BEGIN"
KINDS = {"request lost", "reply lost", "unnoticed by the server", "for good"}
STATEMENT_END_AND_NEXT = (0, 5, 6)  # after Parse come Describe, Flush, Bind, Execute and Sync, then the next


JOBS = ("sync, first load", "sync, changes", "backfill", "tombstoning", "replay", "migrate", "takeover")


@pytest.mark.parametrize("name", JOBS)
async def test_nothing_is_lost_or_torn(name: str, warehouse_url: str) -> None:
    """A few cuts of every kind in every job: no reader sees half of anything, and nothing is there twice."""
    result = ProofResult("cuts", 0)
    async with open_jobs(0) as jobs:
        assert [job.name for job in jobs] == list(JOBS)
        await cuts.prove(next(job for job in jobs if job.name == name), result, warehouse_url, "small")
    assert result.violations == []
    assert {kind.partition(": ")[2] for kind in result.counts} >= KINDS


def land_before_finishing(patch: pytest.MonkeyPatch) -> None:
    """Land in one transaction and finish the search in the next."""
    whole = worklist.land_batch

    async def in_two(
        connection: Connection,
        warehouse: Warehouse,
        claim: worklist.Claim,
        batch: worklist.Batch,
        finish: worklist.Finish | None,
    ) -> land.Landed:
        if finish is None:
            return await whole(connection, warehouse, claim, batch, None)
        landed = await whole(connection, warehouse, claim, batch, None)
        await connection.execute(COMMIT)
        end = replace(batch, messages=(), rejected=(), number=batch.number + 1)
        await whole(connection, warehouse, claim, end, finish)
        return landed

    patch.setattr(worklist, "land_batch", in_two)


def write_parts_afterwards(patch: pytest.MonkeyPatch) -> None:
    """Write the payloads of changed messages in a transaction of their own."""
    whole = land.rewrite_parts

    async def later(connection: Connection, warehouse: Warehouse, messages: Sequence[Message]) -> None:
        await connection.execute(COMMIT)
        await whole(connection, warehouse, messages)

    patch.setattr(land, "rewrite_parts", later)


def delete_before_closing(patch: pytest.MonkeyPatch) -> None:
    """Mark as deleted in one transaction and close the run in the next."""

    async def committed(connection: Connection, warehouse: Warehouse, run_id: int, gone: Sequence[str]) -> int:
        deleted = await missing.tombstone(connection, warehouse, run_id, gone)
        await connection.execute(COMMIT)
        return deleted

    patch.setattr("worker.load.ledger.tombstone", committed)


def ask_no_lease(patch: pytest.MonkeyPatch) -> None:
    """Land and finish whoever holds the lease."""
    _instead(
        patch, "worklist/check_lease", "SELECT landings FROM canvas_ops.search WHERE id = $1 AND $2::uuid IS NOT NULL"
    )


def begin_twice(patch: pytest.MonkeyPatch) -> None:
    """Begin another run each time one is asked for."""
    insert = (
        "INSERT INTO canvas_ops.run (job, scope, selection_key, version)"
        " VALUES ($1, $2, $3 || random(), $4) RETURNING id"
    )
    _instead(patch, "ledger/open_run", insert)


def release_again(patch: pytest.MonkeyPatch) -> None:
    """Land from quarantine also what is no longer open there."""
    every = (
        "SELECT raw_hash, $2::text[] IS NULL AND $3::bigint IS NULL AS is_doubtful"
        " FROM canvas_ops.quarantine WHERE raw_hash = ANY ($1::bytea[])"
    )
    _instead(patch, "quarantine/lock_open", every)


def forget_claims(patch: pytest.MonkeyPatch) -> None:
    """Take a search that is just being claimed for one that somebody walks."""
    _instead(patch, "worklist/wait_for_claim", "SELECT NULL WHERE $1::bigint IS NULL")


def take_its_lock_for_anothers(patch: pytest.MonkeyPatch) -> None:
    """Know nothing of a lock that was taken but not answered for."""
    take = RunLock._take

    async def forgetful(self: RunLock, connection: Connection) -> None:
        self._was_asked_for = False
        await take(self, connection)

    patch.setattr(RunLock, "_take", forgetful)


def _instead(patch: pytest.MonkeyPatch, name: str, other: str) -> None:
    patch.setattr(
        "worker.load.postgres.database.statement",
        lambda asked, schema: other if asked == name else statement(asked, schema),
    )


REPLY = {"lost": "reply"}
UNNOTICED = {"lost": "request", "unnoticed_s": cuts.UNNOTICED_S}
SABOTAGES: list[tuple[Sabotage, str, bytes, dict[str, Any]]] = [
    (land_before_finishing, "sync, first load", COMMIT.encode(), REPLY),
    (write_parts_afterwards, "sync, changes", COMMIT.encode(), REPLY),
    (delete_before_closing, "tombstoning", COMMIT.encode(), REPLY),
    (ask_no_lease, "takeover", b"SELECT landings FROM canvas_ops.search WHERE id = $1 AND $2", REPLY),
    (begin_twice, "sync, first load", b"INSERT INTO canvas_ops.run", REPLY),
    (release_again, "replay", b"SET resolved_at = now() WHERE raw_hash", REPLY),
    (forget_claims, "sync, first load", b"SET status = 'walking'", UNNOTICED),
    (take_its_lock_for_anothers, "sync, first load", b"SELECT pg_try_advisory_lock(", UNNOTICED),
]


@pytest.mark.parametrize(("sabotage", "name", "where", "cut"), SABOTAGES, ids=[one[0].__name__ for one in SABOTAGES])
async def test_a_sabotage_is_caught(
    sabotage: Sabotage,
    name: str,
    where: bytes,
    cut: dict[str, Any],
    warehouse_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It passes as long as nothing is cut, and is found out by a cut at the statement it spoils, or at the commit."""
    sabotage(monkeypatch)
    async with open_jobs(0) as jobs:
        job = next(job for job in jobs if job.name == name)
        async with cuts.open_lane(job, warehouse_url) as lane:
            at = max(number for number, sent in enumerate(await lane.record(), start=1) if where in sent)
            found = [await lane.try_cut(Cut(at + later, **cut)) for later in STATEMENT_END_AND_NEXT]
    assert any(trial.violations for trial in found)
