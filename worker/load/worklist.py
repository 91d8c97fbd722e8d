"""The work list of a run: its searches, claimed with leases.

A search is finished in the transaction that lands its last rows, and only by the worker whose token is still valid.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from worker.errors import LeaseLost
from worker.load.fingerprints import Seen, write_fingerprint
from worker.load.land import Landed, land_messages, total
from worker.load.postgres.database_errors import RowRefused
from worker.load.quarantine import resolve, store_rejected
from worker.load.set_aside import find_partial, rejected, write_in_parts
from worker.records import Message, Reason, Rejected, Search

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from worker.load.postgres.database import Connection, Warehouse


@dataclass(frozen=True, slots=True)
class Claim:
    """A search that this worker may walk while its token is valid."""

    search_id: int
    run_id: int
    search: Search
    token: UUID
    lease: timedelta


@dataclass(frozen=True, slots=True)
class Finish:
    """How a search ended. `reason` is None if it was accepted. `seen` is None if no fingerprint is to be written."""

    accepted: bool
    reason: str | None
    total: int | None
    pages: int
    entries: int
    outside: int
    seen: Mapping[bytes, Seen] | None


@dataclass(frozen=True, slots=True)
class RosterWalk:
    """How the walk of a roster search went. `reason` is None if it was accepted."""

    resource: str
    parameter: str
    value: str
    reason: str | None
    walks: int
    started_at: datetime
    total: int | None
    pages: int
    entries: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What one landing writes: usable messages and rejected entries. `number` counts a search's batches, from 0.

    With `in_parts`, messages that the server refuses go to quarantine.
    """

    messages: Sequence[Message]
    rejected: Sequence[Rejected]
    number: int
    in_parts: bool = False

    def without(self, messages: Sequence[Message]) -> Batch:
        """Return the same batch without these messages."""
        if not messages:
            return self
        left_out = {message.raw_hash for message in messages}
        return replace(self, messages=[one for one in self.messages if one.raw_hash not in left_out])


async def plan_searches(
    connection: Connection, warehouse: Warehouse, run_id: int, searches: Sequence[Search]
) -> datetime:
    """Write the work list, in the order in which it is to be claimed. Return when it was complete, for `close_run`."""
    await connection.execute(
        warehouse.sql("worklist/plan_searches"),
        run_id,
        [search.parameter for search in searches],
        [search.value for search in searches],
    )
    planned_at: datetime = await connection.fetchval(warehouse.sql("worklist/mark_planned"), run_id)
    return planned_at


async def read_planned(connection: Connection, warehouse: Warehouse, run_id: int) -> set[Search]:
    """Return the searches for messages on the work list of a run, done or not."""
    rows = await connection.fetch(warehouse.sql("worklist/read_planned"), run_id)
    return {Search(row["parameter"], row["value"]) for row in rows}


async def reopen_searches(connection: Connection, warehouse: Warehouse, run_id: int, within: timedelta) -> None:
    """Make searches of an abandoned run claimable again: those not accepted, of gone ids, or read too long ago.

    Too long ago means that reading them began more than `within` ago. The others stay accepted.
    """
    await connection.execute(warehouse.sql("ledger/resume_run"), run_id)
    await connection.execute(warehouse.sql("worklist/release_searches"), run_id)
    await connection.execute(warehouse.sql("worklist/retry_searches"), run_id, within)


async def save_roster_search(connection: Connection, warehouse: Warehouse, run_id: int, walked: RosterWalk) -> None:
    """Store a roster search of this run."""
    await connection.execute(warehouse.sql("worklist/save_roster_search"), run_id, *astuple(walked))


async def claim_search(
    connection: Connection, warehouse: Warehouse, run_id: int, token: UUID, lease: timedelta
) -> Claim | None:
    """Claim the next search, or return None if there is none left to claim.

    Searches that others are claiming are skipped. If only such are left, this waits for them, because a claim whose
    connection was lost is rolled back, and that search must not be forgotten.
    """
    while (row := await connection.fetchrow(warehouse.sql("worklist/claim_search"), run_id, token, lease)) is None:
        if await connection.fetchval(warehouse.sql("worklist/wait_for_claim"), run_id) is None:
            return None
    return Claim(row["id"], run_id, Search(row["parameter"], row["value"]), token, lease)


async def begin_walk(connection: Connection, warehouse: Warehouse, claim: Claim) -> int:
    """Note that the search is walked from its first page now. Return the number of its next batch. Raises LeaseLost."""
    row = await connection.fetchrow(warehouse.sql("worklist/begin_walk"), claim.search_id, claim.token, claim.lease)
    if row is None:
        raise LeaseLost("The lease on a search was lost before its walk.")
    number: int = row["landings"]
    return number


async def walk_forgotten(connection: Connection, warehouse: Warehouse, run_id: int) -> bool:
    """Make claimable what counts as being walked though nobody walks it. Return whether there was any.

    To be asked once all walks have ended, by whoever holds the run lock: a standby that lagged has taken over, and
    knows of the claim, and not of the end.
    """
    return not (await connection.execute(warehouse.sql("worklist/release_searches"), run_id)).endswith(" 0")


async def release(connection: Connection, warehouse: Warehouse, claim: Claim) -> None:
    """Let a search be claimed again. Without effect if somebody else has claimed it meanwhile."""
    await connection.execute(warehouse.sql("worklist/release"), claim.search_id, claim.token)


async def renew_leases(
    connection: Connection, warehouse: Warehouse, run_id: int, tokens: Sequence[UUID], lease: timedelta
) -> None:
    """Let the leases of a run with these tokens last for another `lease`; those that were lost stay so."""
    await connection.execute(warehouse.sql("worklist/renew_leases"), run_id, tokens, lease)


async def land(warehouse: Warehouse, claim: Claim, batch: Batch, finish: Finish | None) -> Landed:
    """Land a batch as `land_batch` does; if the server refuses a row, once more without the messages that it refuses.

    Those go to quarantine. Raises what `Warehouse.work` and `land_batch` raise.
    """
    try:
        return await warehouse.work(land_batch, warehouse, claim, batch, finish)
    except RowRefused:
        return await warehouse.work(land_batch, warehouse, claim, replace(batch, in_parts=True), finish)


async def land_batch(
    connection: Connection, warehouse: Warehouse, claim: Claim, batch: Batch, finish: Finish | None
) -> Landed:
    """Land a batch of a claimed search, and with the last one its end, all in the caller's transaction.

    Raises LeaseLost, which rolls everything back. It is also raised if an earlier batch is missing, because a standby
    that lagged has taken over. A batch that was landed already (the commit arrived, its answer did not) is left alone.
    """
    landings = await connection.fetchval(warehouse.sql("worklist/check_lease"), claim.search_id, claim.token)
    if landings is None:
        raise LeaseLost("The lease on a search was lost during its walk.")
    if landings < batch.number:
        raise LeaseLost("The warehouse has lost what had been landed of a search.")
    if landings > batch.number:
        return Landed()
    partial = await find_partial(connection, warehouse, batch.messages)
    batch = batch.without(partial)
    landed, refused = await _land_messages(connection, warehouse, batch, claim.run_id)
    await resolve(connection, warehouse, batch.without(refused).messages)
    entries = [*batch.rejected, *map(rejected, refused), *(rejected(one, Reason.PARTIAL) for one in partial)]
    quarantined = await store_rejected(connection, warehouse, entries, claim.search, run_id=claim.run_id)
    await connection.execute(
        warehouse.sql("worklist/add_landed"),
        claim.search_id,
        landed.new,
        landed.changed,
        quarantined,
        claim.lease,
        landed.unseen,
    )
    if finish is not None:
        if finish.seen is not None:
            await write_fingerprint(
                connection, warehouse, claim.search, finish.seen, total=finish.total or 0, run_id=claim.run_id
            )
        await connection.execute(
            warehouse.sql("worklist/finish_search"),
            claim.search_id,
            "accepted" if finish.accepted else "not_accepted",
            finish.reason,
            finish.total,
            finish.pages,
            finish.entries,
            finish.outside,
        )
    return landed


async def _land_messages(
    connection: Connection, warehouse: Warehouse, batch: Batch, run_id: int
) -> tuple[Landed, list[Message]]:
    """Return what was landed, and which messages the server refused. If not `in_parts`, a refusal is raised instead."""
    if not batch.in_parts:
        return await land_messages(connection, warehouse, batch.messages, run_id=run_id), []
    landed: list[Landed] = []

    async def write(part: Sequence[Message]) -> None:
        landed.append(await land_messages(connection, warehouse, part, run_id=run_id))

    refused = await write_in_parts(connection, warehouse, batch.messages, write)
    return total(landed), refused


async def ask_for(connection: Connection, warehouse: Warehouse, run_id: int, ids: Sequence[str]) -> None:
    """Add a search by `_id` for each to the work list of the run."""
    await connection.execute(warehouse.sql("worklist/add_searches"), run_id, ids)


async def walk_again(connection: Connection, warehouse: Warehouse, search_ids: Sequence[int]) -> None:
    """Make accepted searches claimable again."""
    await connection.execute(warehouse.sql("worklist/walk_again"), search_ids)


async def take_back(connection: Connection, warehouse: Warehouse, search_ids: Sequence[int], reason: str) -> None:
    """Mark accepted searches as not accepted."""
    await connection.execute(warehouse.sql("worklist/take_back"), search_ids, reason)


async def give_up(connection: Connection, warehouse: Warehouse, run_id: int, reason: str) -> None:
    """Finish the rest of the work list as not accepted."""
    await connection.execute(warehouse.sql("worklist/give_up_searches"), run_id, reason)
