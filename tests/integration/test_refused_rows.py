"""A row that the warehouse refuses, for something that an analyst added: it is set aside, and the rest lands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import environment, ids_of, mirror_settings, run_command
from tests.integration.verdicts import CANARY
from worker.errors import EXIT_OK
from worker.jobs.replay import replay
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync
from worker.load.postgres.database_errors import RowRefused
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    import asyncpg

# So many different words are more than a tsvector holds.
LONG = " ".join(f"{CANARY}{number:0120}" for number in range(10_000))
BAD = {"m07", "m19"}
JUDGE = "CREATE FUNCTION canvas.judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
OPEN = "SELECT message_id FROM canvas_ops.quarantine WHERE reason = 'refused_by_warehouse' AND resolved_at IS NULL"
ADDED = {
    "an index of an expression": (
        "CREATE INDEX words ON canvas.message USING gin (to_tsvector('english', body_text))",
        "index canvas.words",
        "DROP INDEX canvas.words",
    ),
    "an index of a column": (
        "CREATE INDEX whole ON canvas.message (body_text)",
        "whole",
        "DROP INDEX canvas.whole",
    ),
    "a generated column": (
        "ALTER TABLE canvas.message ADD words tsvector GENERATED ALWAYS AS (to_tsvector('english', body_text)) STORED",
        "column canvas.message.words",
        "ALTER TABLE canvas.message DROP words",
    ),
    "a check": (
        "ALTER TABLE canvas.message ADD CONSTRAINT short CHECK (length(body_text) < 5000)",
        "short",
        "ALTER TABLE canvas.message DROP CONSTRAINT short",
    ),
    "a trigger that fails": (
        (
            f"{JUDGE} new.payload_count := 1 / (length(new.body_text) < 5000)::integer; RETURN new; END $$;"
            "CREATE TRIGGER judge BEFORE INSERT ON canvas.message FOR EACH ROW EXECUTE FUNCTION canvas.judge()"
        ),
        "trigger judge on canvas.message",
        "DROP TRIGGER judge ON canvas.message",
    ),
    "a deferred trigger": (
        (
            f"{JUDGE} IF length(new.body_text) > 5000 THEN RAISE EXCEPTION 'no'; END IF; RETURN new; END $$;"
            "CREATE CONSTRAINT TRIGGER judge AFTER INSERT ON canvas.message DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION canvas.judge()"
        ),
        "trigger judge on canvas.message",
        "DROP TRIGGER judge ON canvas.message",
    ),
}


def source() -> BareSource:
    numbers = [f"m{number:02}" for number in range(30)]
    return BareSource([letter(one, text=LONG if one in BAD else "Made up.") for one in numbers], page_entries=10)


@pytest.mark.parametrize("added", ADDED)
async def test_a_refused_row_is_set_aside_and_the_rest_lands(
    added: str, database_dsn: str, database: asyncpg.Connection
) -> None:
    """Each night, until it is mended; then the next sync lands it, or a replay. What refuses it is named."""
    add, name, drop = ADDED[added]
    served = source()
    async with served.serve() as url:
        settings = mirror_settings(url, database_dsn)
        assert (await run_command(environment(url, database_dsn), "migrate")).code == EXIT_OK
        await database.execute(add)
        for _ in range(2):
            with capture_logs() as logs:
                result = await sync(settings)
            assert result.outcome is Outcome.COMPLETE
            assert await ids_of(database) == served.ids() - BAD
            assert {row["message_id"] for row in await database.fetch(OPEN)} == BAD
            told = [log for log in logs if log["event"].startswith("the warehouse refused messages")]
            assert [log["messages"] for log in told] == [2]
            assert name in f"{told[0]['constraint']} {told[0]['added']}"
            assert CANARY not in str(logs)
        await database.execute(drop)
        mended = await replay(settings)
        assert (mended.released, mended.still_quarantined) == (2, 0)
    assert await ids_of(database) == served.ids()


async def test_a_replay_leaves_aside_what_is_refused_still(database_dsn: str, database: asyncpg.Connection) -> None:
    """Of quarantine, and of the rows that other rules derived: the others are written anew."""
    served = source()
    async with served.serve() as url:
        settings = mirror_settings(url, database_dsn)
        assert (await sync(settings)).outcome is Outcome.COMPLETE
        await database.execute("UPDATE canvas.message SET _rules_version = 'old'")
        await database.execute(
            "ALTER TABLE canvas.message ADD CONSTRAINT short CHECK (length(body_text) < 5000) NOT VALID"
        )
        result = await replay(settings)
        assert (result.rewritten, result.refused) == (28, 2)
        old = await database.fetch("SELECT id FROM canvas.message WHERE _rules_version = 'old'")
        assert {row["id"] for row in old} == BAD
        await database.execute("DELETE FROM canvas.message WHERE length(body_text) > 5000")
        assert (await sync(settings)).outcome is Outcome.COMPLETE
        result = await replay(settings)
        assert (result.released, result.still_quarantined) == (0, 2)
        await database.execute("ALTER TABLE canvas.message DROP CONSTRAINT short")
        assert (await sync(settings)).sums.new == 2
        assert await database.fetchval("SELECT count(*) FROM canvas_ops.quarantine WHERE resolved_at IS NULL") == 0
    assert await ids_of(database) == served.ids()


async def test_a_changed_message_that_is_refused_keeps_its_last_version(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    served = BareSource([letter("m1", text="Made up."), letter("m2")])
    async with served.serve() as url:
        settings = mirror_settings(url, database_dsn)
        assert (await sync(settings)).outcome is Outcome.COMPLETE
        await database.execute("ALTER TABLE canvas.message ADD CONSTRAINT short CHECK (length(body_text) < 5000)")
        served.rows[:] = [letter("m1", text=LONG), letter("m2", text="Another.")]
        assert (await sync(settings)).outcome is Outcome.COMPLETE
    rows = await database.fetch("SELECT id, body_text FROM canvas.message ORDER BY id")
    assert [row["body_text"] for row in rows] == ["Made up.", "Another."]


async def test_verify_counts_what_is_refused_as_accounted_for(database_dsn: str, database: asyncpg.Connection) -> None:
    clinic = make_clinic(messages=60, practitioners=2, patients=5)
    victim = next(iter(clinic))["id"]
    async with SandboxServer(clinic) as server:
        variables = environment(server.url, database_dsn)
        assert (await run_command(variables, "migrate")).code == EXIT_OK
        await database.execute(f"ALTER TABLE canvas.message ADD CHECK (id <> '{victim}')")
        done = await run_command(variables, "verify")
    assert done.code == EXIT_OK, done.out + done.err
    assert await ids_of(database) == {one["id"] for one in clinic} - {victim}


async def test_a_batch_that_is_refused_whole_is_caught(
    database_dsn: str, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sabotage: the batch is not parted, so that one message ends the run."""

    async def whole(_connection: object, _warehouse: object, messages: list[object], write: object) -> list[object]:
        await write(messages)  # type: ignore[operator]
        return []

    monkeypatch.setattr("worker.load.worklist.write_in_parts", whole)
    served = source()
    async with served.serve() as url:
        assert (await run_command(environment(url, database_dsn), "migrate")).code == EXIT_OK
        await database.execute(ADDED["a check"][0])
        with pytest.raises(RowRefused) as refused:
            await sync(mirror_settings(url, database_dsn))
    assert "constraint short" in refused.value.what
    assert CANARY not in refused.value.told()
