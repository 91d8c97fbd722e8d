"""Landing batches: what is written, what is kept, and what two writers at once do to each other."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.integration.mirroring import PATIENT, places_of, until
from tests.rows import row
from worker.load.land import Landed, land_messages
from worker.load.postgres.database import Warehouse, open_warehouse
from worker.load.postgres.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from worker.records import Message

TWO_PATIENTS = [{"reference": f"Patient/{PATIENT}"}, {"reference": "Patient/second"}]
TWO_PAYLOADS = [{"contentString": "One."}, {"contentString": "Two."}]


@pytest.fixture
async def warehouse(database_dsn: str) -> AsyncIterator[Warehouse]:
    """Give a migrated warehouse in the test's database."""
    async with open_warehouse(database_dsn, "canvas", timedelta(seconds=5)) as warehouse:
        await migrate(warehouse)
        yield warehouse


async def land(warehouse: Warehouse, *messages: Message, run_id: int = 1) -> Landed:
    return await warehouse.work(land_messages, warehouse, messages, run_id=run_id)


async def texts_of(database: asyncpg.Connection) -> dict[str, str]:
    return {row["id"]: row["body_text"] for row in await database.fetch("SELECT id, body_text FROM canvas.message")}


async def test_a_table_of_the_same_name_as_the_stage_hides_nothing(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """Where the database puts pg_temp last, as advice on hardening has it."""
    name = await database.fetchval("SELECT current_database()")
    await database.execute(f"ALTER DATABASE {name} SET search_path = public, pg_temp")
    await database.execute("CREATE TABLE public.incoming (id text, _content_hash bytea)")
    async with open_warehouse(database_dsn, "canvas", timedelta(seconds=5)) as hardened:
        await migrate(hardened)
        assert await land(hardened, row("a")) == Landed(new=1)
        assert await land(hardened, row("a", text="Otherwise."), run_id=2) == Landed(changed=1)
    assert await texts_of(database) == {"a": "Otherwise."}


async def test_new_changed_and_unchanged_are_told_apart(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    """A batch counts what it did, and of what is unchanged it touches nothing."""
    assert await land(warehouse, row("a"), row("b"), row("c")) == Landed(new=3)
    before = await places_of(database)
    landed = await land(warehouse, row("a"), row("b", text="Otherwise."), row("d"), run_id=2)
    assert landed == Landed(new=1, changed=1, unchanged=1)
    after = await places_of(database)
    assert {one for one in before if before[one] == after[one]} == {"a", "c"}
    runs = {one["id"]: one["_run_id"] for one in await database.fetch("SELECT id, _run_id FROM canvas.message")}
    assert runs == {"a": 1, "b": 2, "c": 1, "d": 2}
    assert await land(warehouse) == Landed()


async def test_of_an_id_that_comes_twice_the_last_counts(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    """A message that changed between two pages of a batch is one row, the later one, and has no history."""
    landed = await land(warehouse, row("a", text="Earlier."), row("b"), row("a", text="Later."))
    assert landed == Landed(new=2)
    assert (await texts_of(database))["a"] == "Later."
    assert await database.fetchval("SELECT count(*) FROM canvas.message_history") == 0
    assert await land(warehouse, row("a", text="Once more."), row("a", text="Later.")) == Landed(unchanged=1)


async def test_a_version_that_comes_back(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    """Back to an earlier text is a change with a past of its own; the resource of that version is kept once."""
    for text in ("One.", "Two.", "One."):
        await land(warehouse, row("a", text=text))
    past = await database.fetch("SELECT * FROM canvas.message_history ORDER BY _known_from")
    assert [one["body_text"] for one in past] == ["One.", "Two."]
    changed_at = await database.fetchval("SELECT _changed_at FROM canvas.message")
    assert [one["_known_to"] for one in past] == [past[1]["_known_from"], changed_at]
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.communication") == 2


async def test_a_deleted_message_that_returns_is_alive(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    """Served again, though unchanged, it is revived, and that it was gone for a while stays on record."""
    await land(warehouse, row("a"), row("b"))
    await database.execute("UPDATE canvas.message SET _deleted_at = now(), _changed_at = now() WHERE id = 'a'")
    gone = await database.fetchrow("SELECT * FROM canvas.message WHERE id = 'a'")
    assert await land(warehouse, row("a"), row("b"), run_id=2) == Landed(changed=1, unchanged=1)
    back = await database.fetchrow("SELECT * FROM canvas.message WHERE id = 'a'")
    assert (back["_deleted_at"], back["_first_seen_at"]) == (None, gone["_first_seen_at"])
    assert back["_changed_at"] > gone["_changed_at"]
    (past,) = await database.fetch("SELECT * FROM canvas.message_history")
    assert (past["id"], past["_deleted_at"]) == ("a", gone["_deleted_at"])
    assert (past["_known_from"], past["_known_to"]) == (gone["_changed_at"], back["_changed_at"])


async def test_several_recipients_and_payloads(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    """Messages with several have them all beside the row, in order; those with one have nothing there."""
    await land(warehouse, row("many", recipient=TWO_PATIENTS, payload=TWO_PAYLOADS), row("one"))
    assert [tuple(one) for one in await database.fetch("SELECT * FROM canvas.message_recipient ORDER BY position")] == [
        ("many", 1, "Patient", PATIENT),
        ("many", 2, "Patient", "second"),
    ]
    payloads = "SELECT message_id, position, body_text, body_format FROM canvas.message_payload ORDER BY position"
    assert [tuple(one) for one in await database.fetch(payloads)] == [
        ("many", 1, "One.", "plain"),
        ("many", 2, "Two.", "plain"),
    ]
    many = await database.fetchrow("SELECT * FROM canvas.message WHERE id = 'many'")
    assert (many["recipient_id"], many["payload_count"], many["body_text"]) == (PATIENT, 2, "One.\n\nTwo.")


async def test_parts_are_written_anew_with_their_message(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    """A changed message's recipients and payloads are replaced, those of an unchanged one are left as they are."""
    still = row("still", recipient=TWO_PATIENTS, payload=TWO_PAYLOADS)
    await land(warehouse, row("many", recipient=TWO_PATIENTS, payload=TWO_PAYLOADS), still)
    places = "SELECT position, ctid::text FROM canvas.message_payload WHERE message_id = 'still' ORDER BY 1"
    before = await database.fetch(places)

    await land(warehouse, row("many", recipient=TWO_PATIENTS[::-1], payload=[*TWO_PAYLOADS[::-1], {}]), still)
    recipients = "SELECT recipient_id FROM canvas.message_recipient WHERE message_id = 'many' ORDER BY position"
    assert [one[0] for one in await database.fetch(recipients)] == ["second", PATIENT]
    texts = "SELECT body_text FROM canvas.message_payload WHERE message_id = 'many' ORDER BY position"
    assert [one[0] for one in await database.fetch(texts)] == ["Two.", "One.", None]

    await land(warehouse, row("many"), still)
    assert await database.fetch(recipients) == await database.fetch(texts) == []
    assert await database.fetch(places) == before
    assert len(before) == 2


async def test_suppressed_people_and_messages_are_passed_over(
    warehouse: Warehouse, database: asyncpg.Connection
) -> None:
    """What must not be landed leaves no trace: no row, no version, no practitioner met; the rest of the batch lands."""
    await database.execute("INSERT INTO canvas_ops.suppressed VALUES ('patient', $1), ('message', 'erased')", "removed")
    theirs = row("theirs", recipient=[{"reference": "Patient/removed"}], sender={"reference": "Practitioner/met"})
    assert await land(warehouse, theirs, row("erased"), row("kept")) == Landed(new=1, suppressed=2)
    assert set(await texts_of(database)) == {"kept"}
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.communication") == 1
    assert await database.fetchval("SELECT count(*) FROM canvas.practitioner WHERE id = 'met'") == 0


@pytest.mark.parametrize("agree", [True, False])
async def test_two_writers_of_the_same_messages(
    warehouse: Warehouse, database: asyncpg.Connection, database_dsn: str, *, agree: bool
) -> None:
    """Overlapping batches landed at once in opposite orders neither deadlock nor lose a row, part or past version."""
    ids = [f"m-{number:03}" for number in range(300)]
    halves = ids[:200], ids[:99:-1]
    # 100 ids are in both halves: one version each time if the writers agree on what it says, else two.
    versions = 300 if agree else 400
    async with AsyncExitStack() as stack:
        writers = [await _connect(stack, database_dsn) for _ in halves]
        for time in range(3):
            said = [f"{time}", f"{time}" if agree else f"{time}, in other words"]
            batches = [
                [row(one, payload=[*TWO_PAYLOADS, {"contentString": words}]) for one in half]
                for half, words in zip(halves, said, strict=True)
            ]
            # With the writers' own words it holds them up at the versions, with others at the rows.
            middle = row("m-150", payload=[*TWO_PAYLOADS, {"contentString": said[0] if agree else "held up"}])
            async with _holding_up(database, warehouse, middle, writers):
                landing = asyncio.gather(*map(_land_in, writers, [warehouse] * 2, batches))
            landed = await landing
            assert sum(one.new + one.changed for one in landed) == versions
    assert set(await texts_of(database)) == set(ids)
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.communication") == 3 * versions
    assert await database.fetchval("SELECT count(*) FROM canvas.message_history") == 3 * versions - 300
    assert await database.fetchval("SELECT count(*) FROM canvas.message_payload") == 3 * 300
    # Versions of one message follow one another without a gap.
    gaps = (
        "SELECT count(*) FROM canvas.message_history AS h WHERE NOT EXISTS"
        " (SELECT FROM canvas.message_history AS n WHERE n.id = h.id AND n._known_from = h._known_to)"
        " AND NOT EXISTS (SELECT FROM canvas.message AS m WHERE m.id = h.id AND m._changed_at = h._known_to)"
    )
    assert await database.fetchval(gaps) == 0


async def _connect(stack: AsyncExitStack, dsn: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(dsn)
    stack.push_async_callback(connection.close)
    return connection


@asynccontextmanager
async def _holding_up(
    database: asyncpg.Connection, warehouse: Warehouse, middle: Message, writers: Sequence[asyncpg.Connection]
) -> AsyncIterator[None]:
    """Hold a message until every writer waits for somebody, so that all are half through; then let them go on."""
    pids = [writer.get_server_pid() for writer in writers]
    waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid = ANY ($1)"

    async def all_wait() -> bool:
        return bool(await database.fetchval(waiting, pids) == len(pids))

    transaction = database.transaction()
    await transaction.start()
    await land_messages(database, warehouse, [middle], run_id=1)
    yield
    await until(all_wait)
    await transaction.rollback()


async def _land_in(connection: asyncpg.Connection, warehouse: Warehouse, batch: Sequence[Message]) -> Landed:
    """Land in one transaction of this connection; a deadlock is raised here, where `Warehouse.work` would try again."""
    async with connection.transaction():
        return await land_messages(connection, warehouse, batch, run_id=1)


async def test_a_batch_that_fails_leaves_nothing(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    """A batch is one transaction with whatever else is in it: rows, versions and parts go together or not at all."""

    async def land_and_fail(connection: asyncpg.Connection) -> None:
        await land_messages(connection, warehouse, [row("a", payload=TWO_PAYLOADS)], run_id=1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await warehouse.work(land_and_fail)
    for table in ("canvas.message", "canvas.message_payload", "canvas.practitioner", "canvas_ops.communication"):
        assert await database.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - names of this test


async def test_the_table_is_read_by_its_primary_key(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    """What a batch is compared with is found by id: no landing reads the whole table."""
    await land(warehouse, *(row(f"m-{number:05}") for number in range(5000)))
    await database.execute("ANALYZE canvas.message")
    ids = [f"m-{number:05}" for number in range(0, 5000, 100)]
    plan = await database.fetch(f"EXPLAIN {warehouse.sql('land/read_current')}", ids)
    lines = "\n".join(line[0] for line in plan)
    assert "message_pkey" in lines
    assert "Seq Scan" not in lines


async def test_a_batch_of_a_replay_reads_no_table_whole(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    """Of the ids that come next, and of them alone, the resources are looked up: else a replay is quadratic."""
    await land(warehouse, *(row(f"m-{number:05}") for number in range(5000)))
    await database.execute("ANALYZE canvas.message, canvas_ops.communication")
    plan = await database.fetch(f"EXPLAIN {warehouse.sql('replay/read_current')}", "other rules", None, "m-02000", 50)
    lines = "\n".join(line[0] for line in plan)
    assert "message_pkey" in lines
    assert "Seq Scan on message" not in lines
    assert "Seq Scan on communication" not in lines


async def test_history_and_comparison_miss_no_column(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    """Neither names the columns of a message: a past version is the row as it was, whatever is in it."""
    html = '<p>First \\ "quoted" – ﷺ 🙂 <b>version</b></p>\n\t&nbsp;x'
    await land(warehouse, row("a", text=html, sent="2024-02-29T23:59:59.123456-05:00"))
    before = dict(await database.fetchrow("SELECT * FROM canvas.message") or {})
    assert await land(warehouse, row("a", text="Second."), run_id=2) == Landed(changed=1)
    past = dict(await database.fetchrow("SELECT * FROM canvas.message_history") or {})
    shared = before.keys() & past.keys()
    assert {name: past[name] for name in shared} == {name: before[name] for name in shared}
    assert before.keys() - shared == {"_first_seen_at", "_changed_at"}
    assert past.keys() - shared == {"_known_from", "_known_to"}
    assert past["_known_from"] == before["_changed_at"]


async def test_every_column_that_an_analyst_sees_is_compared(
    warehouse: Warehouse, database: asyncpg.Connection
) -> None:
    """Also one that is null on one side; what is the worker's own is not."""
    await land(warehouse, row("a"))
    same = (
        "SELECT canvas_ops.fields_of(row_to_json(one)) IS NOT DISTINCT FROM canvas_ops.fields_of(row_to_json(other))"
        " FROM canvas.message AS one, other"
    )
    await database.execute("CREATE TEMPORARY TABLE other AS SELECT *, NULL::bytea AS resource FROM canvas.message")
    assert await database.fetchval(same)
    values = {"text": "'x'", "timestamp with time zone": "'2001-01-01'", "integer": "99"}
    for name, kind in await database.fetch(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute AS a"
        " WHERE a.attrelid = 'canvas.message'::regclass AND a.attnum > 0"
    ):
        for value in (values.get(kind, "NULL"), "NULL"):
            await database.execute("DELETE FROM other")
            await database.execute("INSERT INTO other SELECT *, NULL FROM canvas.message")
            await database.execute(f"UPDATE other SET {name} = {value}")  # noqa: S608 - names of our own
            was_null = await database.fetchval(f"SELECT {name} IS NULL FROM canvas.message")  # noqa: S608
            differs = name != "id" and not name.startswith("_") and not (was_null and value == "NULL")
            assert await database.fetchval(same) is not differs, (name, value)
