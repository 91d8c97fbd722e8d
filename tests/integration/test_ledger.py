"""Runs and their work lists: resumed or closed, claimed with leases, finished with their last rows."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import Watch, environment, ids_of, mirror_settings, run_command, until
from tests.rows import row
from worker.errors import EXIT_WAREHOUSE, LeaseLost, SourceAway, WarehouseWentBack
from worker.jobs.run import buffer
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync
from worker.load import ledger, worklist
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.migrations import migrate
from worker.load.worklist import land_batch
from worker.records import Search
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.load.land import Landed
    from worker.load.postgres.database import Connection, Warehouse

LEASE = timedelta(minutes=10)
PATIENCE = timedelta(seconds=5)
SEARCHES = [Search("sender", f"Practitioner/{number}") for number in range(4)]
FINISHED = worklist.Finish(accepted=True, reason=None, total=1, pages=1, entries=1, outside=0, seen=None)


@asynccontextmanager
async def planned(dsn: str) -> AsyncIterator[tuple[Warehouse, int]]:
    """Give a migrated warehouse with an open run of `SEARCHES`."""
    async with open_warehouse(dsn, "canvas", PATIENCE) as warehouse:
        await migrate(warehouse)
        run_id = await warehouse.work(
            ledger.open_run, warehouse, job="sync", scope="full", selection_key="everything", version="0"
        )
        await warehouse.work(worklist.plan_searches, warehouse, run_id, SEARCHES)
        yield warehouse, run_id


async def claim(warehouse: Warehouse, run_id: int, lease: timedelta = LEASE) -> worklist.Claim:
    claimed = await warehouse.work(worklist.claim_search, warehouse, run_id, uuid4(), lease)
    assert claimed is not None
    await warehouse.work(worklist.begin_walk, warehouse, claimed)
    return claimed


async def test_an_interrupted_sync_goes_on(database_dsn: str, database: asyncpg.Connection) -> None:
    """Within `MIRROR_RESUME_WITHIN` the same run is resumed: finished searches are not walked again."""
    clinic = make_clinic(messages=120, practitioners=5, patients=20)
    watch = Watch(answers=4)
    async with SandboxServer(clinic, middlewares=[watch.middleware()]) as server:
        settings = replace(mirror_settings(server.url, database_dsn), concurrency=1)
        with pytest.raises(SourceAway):
            await sync(settings)
        run = await database.fetchrow("SELECT id, closed_at FROM canvas_ops.run")
        assert run["closed_at"] is None
        finished = watch.searches[:]
        watch.answers = None
        watch.searches.clear()
        result = await sync(settings)
    assert (result.run_id, result.resumed, result.outcome) == (run["id"], True, Outcome.COMPLETE)
    assert not set(finished) & set(watch.searches)
    assert len(watch.searches) == 2 * 5 - 4
    assert await ids_of(database) == {one["id"] for one in clinic}
    # The sums are of the whole run, not of its second half.
    assert (result.sums.new, result.sums.entries, result.sums.searches) == (120, 120, 2 * 5 + 2)


async def test_an_old_sync_is_closed_as_interrupted(database_dsn: str, database: asyncpg.Connection) -> None:
    """Beyond `MIRROR_RESUME_WITHIN` a new run begins, since what was read then is too old to call complete."""
    watch = Watch(answers=4)
    async with SandboxServer(make_clinic(messages=60, practitioners=5), middlewares=[watch.middleware()]) as server:
        variables = environment(server.url, database_dsn, MIRROR_CONCURRENCY="1", MIRROR_RESUME_WITHIN="1h")
        assert (await run_command(variables, "sync")).code == 3
        await database.execute("UPDATE canvas_ops.run SET started_at = started_at - interval '61 minutes'")
        watch.answers = None
        watch.searches.clear()
        done = await run_command(variables, "sync")
    assert done.code == 0, done.err
    assert len(watch.searches) == 2 * 5
    runs = await database.fetch("SELECT outcome, closed_at FROM canvas_ops.run ORDER BY id")
    assert [run["outcome"] for run in runs] == ["interrupted", "complete"]
    assert all(run["closed_at"] for run in runs)


async def test_what_was_not_accepted_is_walked_again_by_a_resumed_run(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """A resumed run does not inherit the failures of its first half, only what was accepted."""
    async with planned(database_dsn) as (warehouse, run_id):
        good, bad, walking = [await claim(warehouse, run_id) for _ in range(3)]
        nothing = worklist.Batch((), (), 0)
        await warehouse.work(worklist.land_batch, warehouse, good, nothing, FINISHED)
        gave_up = replace(FINISHED, accepted=False, reason="total_changed")
        await warehouse.work(worklist.land_batch, warehouse, bad, nothing, gave_up)
        await warehouse.work(worklist.reopen_searches, warehouse, run_id, timedelta(hours=6))
        states = {one["id"]: one["status"] for one in await database.fetch("SELECT id, status FROM canvas_ops.search")}
        assert states.pop(good.search_id) == "accepted"
        assert set(states.values()) == {"pending"}
        with pytest.raises(LeaseLost):
            await warehouse.work(worklist.land_batch, warehouse, walking, nothing, FINISHED)


async def test_nobody_gets_what_another_has(database_dsn: str) -> None:
    """Many claims at once give each search to one worker, in the planned order, and then nothing."""
    async with planned(database_dsn) as (warehouse, run_id):
        claims = await asyncio.gather(
            *(warehouse.work(worklist.claim_search, warehouse, run_id, uuid4(), LEASE) for _ in range(8))
        )
        claimed = [one.search for one in claims if one is not None]
        assert len(claimed) == len(SEARCHES)
        assert sorted(claimed, key=SEARCHES.index) == SEARCHES


async def test_a_repeated_claim_gives_the_same_search(database_dsn: str) -> None:
    """A claim whose answer was lost is asked again with the same token, and holds one search, not two."""
    async with planned(database_dsn) as (warehouse, run_id):
        token = uuid4()
        first = await warehouse.work(worklist.claim_search, warehouse, run_id, token, LEASE)
        assert await warehouse.work(worklist.claim_search, warehouse, run_id, token, LEASE) == first


async def test_a_lost_lease_lands_nothing(database_dsn: str, database: asyncpg.Connection) -> None:
    """When a lease has run out another may walk; the slower worker's rows, finish and fingerprint are rolled back."""
    async with planned(database_dsn) as (warehouse, run_id):
        slow = await claim(warehouse, run_id, lease=timedelta(0))
        quick = await claim(warehouse, run_id)
        assert quick.search == slow.search
        with pytest.raises(LeaseLost):
            await warehouse.work(worklist.land_batch, warehouse, slow, worklist.Batch([row("late")], (), 0), FINISHED)
        assert await ids_of(database) == set()
        await warehouse.work(worklist.land_batch, warehouse, quick, worklist.Batch([row("timely")], (), 0), FINISHED)
        assert await ids_of(database) == {"timely"}


async def test_a_renewed_lease_lasts_and_a_lost_one_stays_lost(database_dsn: str, database: asyncpg.Connection) -> None:
    """Renewal goes by token: it keeps a search from others, and gives none back that another has claimed since."""
    async with planned(database_dsn) as (warehouse, run_id):
        lost, kept = [await claim(warehouse, run_id, lease=timedelta(0)) for _ in range(2)]
        assert kept.search == lost.search
        await warehouse.work(worklist.renew_leases, warehouse, run_id, [kept.token, lost.token], LEASE)
        assert (await claim(warehouse, run_id)).search != kept.search
        nothing = worklist.Batch((), (), 0)
        with pytest.raises(LeaseLost):
            await warehouse.work(worklist.land_batch, warehouse, lost, nothing, FINISHED)
        await warehouse.work(worklist.land_batch, warehouse, kept, nothing, FINISHED)
        await warehouse.work(worklist.renew_leases, warehouse, run_id, [kept.token], LEASE)
        leased_until = await database.fetchval(
            "SELECT leased_until FROM canvas_ops.search WHERE id = $1", kept.search_id
        )
        assert leased_until is None


async def test_finishing_twice_counts_once(database_dsn: str, database: asyncpg.Connection) -> None:
    """A commit whose answer was lost may be repeated: rows, counts and the finish stay as they were."""
    async with planned(database_dsn) as (warehouse, run_id):
        held = await claim(warehouse, run_id)
        batch = worklist.Batch([row("one")], (), 0)
        await warehouse.work(worklist.land_batch, warehouse, held, batch, FINISHED)
        search = await database.fetchrow("SELECT * FROM canvas_ops.search WHERE id = $1", held.search_id)
        assert (search["status"], search["new"], search["changed"]) == ("accepted", 1, 0)
        assert search["leased_until"] is None
        await warehouse.work(worklist.land_batch, warehouse, held, batch, FINISHED)
        again = await database.fetchrow("SELECT * FROM canvas_ops.search WHERE id = $1", held.search_id)
        assert again == search


async def test_as_of_is_the_oldest_accepted_walk(database_dsn: str, database: asyncpg.Connection) -> None:
    """Freshness is counted from the start of the oldest accepted walk, and not from one that was not accepted."""
    async with planned(database_dsn) as (warehouse, run_id):
        refused, oldest, younger = [await claim(warehouse, run_id) for _ in range(3)]
        nothing = worklist.Batch((), (), 0)
        gave_up = replace(FINISHED, accepted=False, reason="no_total")
        for held, finish in ((younger, FINISHED), (refused, gave_up), (oldest, FINISHED)):
            await warehouse.work(worklist.land_batch, warehouse, held, nothing, finish)
        sums = await warehouse.work(ledger.sum_run, warehouse, run_id)
        started = await database.fetchval(
            "SELECT walk_started_at FROM canvas_ops.search WHERE id = $1", oldest.search_id
        )
        assert sums.as_of == started
        assert (sums.searches, sums.accepted, sums.open) == (4, 2, 1)


async def test_a_closed_run_stays_as_it_is(database_dsn: str, database: asyncpg.Connection) -> None:
    """Closing is done once: what comes later changes neither outcome nor time."""
    async with planned(database_dsn) as (warehouse, run_id):
        await warehouse.work(ledger.close_run, warehouse, run_id, "incomplete")
        before = await database.fetchrow("SELECT * FROM canvas_ops.run")
        await warehouse.work(ledger.close_run, warehouse, run_id, "complete")
        assert await database.fetchrow("SELECT * FROM canvas_ops.run") == before
        assert await warehouse.work(ledger.read_open_runs, warehouse) == []


async def whatever_was_landed(
    connection: Connection,
    warehouse: Warehouse,
    claimed: worklist.Claim,
    batch: worklist.Batch,
    finish: worklist.Finish | None,
) -> Landed:
    """Land a batch however many before it are there. A sabotage."""
    landings = "SELECT landings FROM canvas_ops.search WHERE id = $1"
    number = await connection.fetchval(landings, claimed.search_id)
    return await land_batch(connection, warehouse, claimed, replace(batch, number=number), finish)


@pytest.mark.parametrize("sabotage", [None, whatever_was_landed])
async def test_a_landing_that_a_failover_took_back_is_noticed(
    sabotage: object, database_dsn: str, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standby that lagged takes over in mid-walk, with the claim and without the landings: the walk begins anew."""
    monkeypatch.setattr(buffer, "BATCH_ENTRIES", 10)
    monkeypatch.setattr(worklist, "land_batch", sabotage or land_batch)
    source = BareSource([letter(f"m{number:02}") for number in range(30)], page_entries=10)
    lost: list[str] = []
    async with source.serve() as url:

        async def first_batch_landed() -> bool:
            return bool(await database.fetchval("SELECT count(*) = 10 FROM canvas.message"))

        async def take_back(_path: str, query: dict[str, str]) -> None:
            if query.get("_offset") == "20" and not lost:
                await until(first_batch_landed)
                rows = await database.fetch("DELETE FROM canvas.message RETURNING id")
                await database.execute("DELETE FROM canvas_ops.communication")
                await database.execute("UPDATE canvas_ops.search SET landings = 0, new = 0")
                lost.extend(one["id"] for one in rows)

        source.before = take_back
        result = await sync(mirror_settings(url, database_dsn))
    assert len(lost) == 10  # the second batch is landed once the third page is there
    assert result.outcome is Outcome.COMPLETE
    assert (await ids_of(database) == source.ids()) is (sabotage is None)


ACCEPTED = "SELECT value FROM canvas_ops.search WHERE parameter = 'sender' AND status = 'accepted' AND new = 1"
CUT_THE_LOCK = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'message-mirror sync %'"
)


async def forget_nothing(*_: object) -> bool:
    """Leave what nobody walks as it is. A sabotage."""
    return False


@pytest.mark.parametrize("sabotage", [None, forget_nothing])
async def test_a_search_whose_end_a_failover_took_back_is_walked_anew(
    sabotage: object, database_dsn: str, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standby that lagged knows that it was claimed, and not that it was accepted: nobody walks it any more."""
    monkeypatch.setattr(worklist, "walk_forgotten", sabotage or worklist.walk_forgotten)
    source = BareSource([letter("m1"), letter("m2", "other")], practitioners={"pr": True, "other": True})
    lost: list[str] = []
    async with source.serve() as url:

        async def take_back(_path: str, query: dict[str, str]) -> None:
            done = await database.fetchval(ACCEPTED) if query.get("sender") and not lost else None
            if done is not None:
                lost.append(done)
                await database.execute("DELETE FROM canvas.message")
                await database.execute("DELETE FROM canvas_ops.communication")
                await database.execute("DELETE FROM canvas_ops.fingerprint")
                await database.execute(
                    "UPDATE canvas_ops.search SET status = 'walking', landings = 0, new = 0, finished_at = NULL,"
                    " leased_until = now() + interval '1 h' WHERE value = $1 AND parameter = 'sender'",
                    done,
                )
                await database.execute(CUT_THE_LOCK)

        source.before = take_back
        result = await sync(mirror_settings(url, database_dsn, MIRROR_CONCURRENCY="1"))
    assert lost
    assert (result.outcome is Outcome.COMPLETE) is (sabotage is None)
    assert (await ids_of(database) == source.ids()) is (sabotage is None)


async def delete_runs(database: asyncpg.Connection) -> None:
    """Delete all runs and their searches. The run under way locks them in another order, so this may deadlock."""
    while True:
        with suppress(asyncpg.DeadlockDetectedError):
            await database.execute("DELETE FROM canvas_ops.run")
            return


async def test_a_run_that_a_failover_took_back_is_told_and_retried(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """Its exit code is one that systemd, Kubernetes and `serve` try again; no more is said to be kept than is."""
    source = BareSource([letter("m1")])
    lost: list[str] = []
    async with source.serve() as url:

        async def take_back(_path: str, query: dict[str, str]) -> None:
            if query.get("sender") and not lost:
                lost.append(query["sender"])
                await delete_runs(database)
                await database.execute(CUT_THE_LOCK)

        source.before = take_back
        settings = mirror_settings(url, database_dsn)
        with pytest.raises(WarehouseWentBack, match="standby that lagged") as told:
            await sync(settings)
        assert told.value.exit_code == EXIT_WAREHOUSE
        assert "is lost there" in told.value.safe
        assert (await sync(settings)).outcome is Outcome.COMPLETE
    assert await ids_of(database) == source.ids()
