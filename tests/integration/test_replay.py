"""`replay`: what it writes is what a mirror by these rules would hold, and never what was overtaken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.worlds import World, entry_bytes, open_world
from tests.integration.mirroring import message, mirror_settings
from worker.errors import RunLocked
from worker.extract.content_hash import hash_entry
from worker.jobs.run.plan import Outcome
from worker.load import land, rederive
from worker.load.postgres.database import open_warehouse
from worker.load.run_lock import RunLock
from worker.sandbox.population import make_clinic
from worker.transform.message import RULES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from worker.load.postgres.database import Connection, Warehouse
    from worker.records import Message

CUT = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'message-mirror replay %'"
)
OPEN = "SELECT count(*) FROM canvas_ops.quarantine WHERE resolved_at IS NULL"
HOLD_BACK = """
INSERT INTO canvas_ops.quarantine (
    raw_hash, message_id, reason, entry, parameter, value, _run_id, _first_seen_at, _last_run_id, _last_seen_at
)
VALUES ($1, $2, 'no_id', $3, 'sender', 'Practitioner/x', 1, now(), 1, now())
ON CONFLICT (raw_hash) DO UPDATE SET _last_seen_at = now()
"""

OF_OLDER_RULES = """
UPDATE canvas.message
SET body_text = 'lomvek', _quality = '{}', _rules_version = regexp_replace(_rules_version, '^[0-9]+', '1')
WHERE id = 'one'
"""


class Letters:
    """A world with one message that matters, called `one`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sender = next(iter(world.clinic.practitioners.values())).reference
        self.readers = [patient.reference for patient in world.clinic.patients.values()]

    def letter(self, *texts: str, readers: int = 1) -> dict[str, Any]:
        return message(
            "one",
            sender={"reference": self.sender},
            recipient=[{"reference": reader} for reader in self.readers[:readers]],
            payload=[{"contentString": text} for text in texts],
        )

    async def serve(self, *texts: str, readers: int = 1) -> None:
        """Let the message say this, and mirror it."""
        self.world.clinic.put(self.letter(*texts, readers=readers))
        assert (await self.world.sync()).outcome is Outcome.COMPLETE

    async def hold_back(self, text: str, message_id: str | None) -> None:
        """Put a version into quarantine that an older worker could not read, and this one can."""
        entry = entry_bytes(self.letter(text))
        await self.world.database.execute(HOLD_BACK, hash_entry(entry), message_id, entry)

    def change_rules(self) -> None:
        self.world.settings = mirror_settings(
            self.world.server.url, self.world.dsn, MIRROR_CONCURRENCY="1", MIRROR_CUTOFF="2020-01-01T00:00:00Z"
        )

    async def row(self) -> tuple[str, bool, list[str] | None, list[str] | None]:
        """Return the text, whether it is deleted, the payloads and the recipients of the message's row."""
        return tuple(
            await self.world.database.fetchrow(
                "SELECT body_text, _deleted_at IS NOT NULL,"
                " (SELECT array_agg(body_text ORDER BY position) FROM canvas.message_payload WHERE message_id = id),"
                " (SELECT array_agg(recipient_id ORDER BY position)"
                " FROM canvas.message_recipient WHERE message_id = id)"
                " FROM canvas.message WHERE id = 'one'"
            )
        )

    async def past(self) -> list[str]:
        """Return the texts of the message's past versions."""
        rows = await self.world.database.fetch("SELECT body_text FROM canvas.message_history WHERE id = 'one'")
        return [row["body_text"] for row in rows]


@pytest.fixture
async def letters(warehouse_url: str) -> AsyncIterator[Letters]:
    async with open_world(warehouse_url, make_clinic(messages=5, practitioners=1, patients=3, seed=1)) as world:
        yield Letters(world)


def overtake(letters: Letters, patch: pytest.MonkeyPatch) -> None:
    """Once a replay has read its first batch, end its lock's session and let a sync land a newer version."""
    read_current, default = rederive.read_current, letters.world.settings
    is_first = True

    async def read(connection: Connection, *args: Any) -> list[rederive.Version]:
        nonlocal is_first
        batch = await read_current(connection, *args)
        if is_first:
            is_first = False
            await letters.world.database.execute(CUT)
            changed, letters.world.settings = letters.world.settings, default
            await letters.serve("New one.", "New two.", readers=3)
            letters.world.settings = changed
        return batch

    patch.setattr(rederive, "read_current", read)


async def test_a_rewrite_in_place(letters: Letters) -> None:
    """Row and payloads are read by the new rules; no version is made, and the recipients stay."""
    await letters.serve("a<b>c</b>", "d", readers=2)
    before = await letters.row()
    letters.change_rules()
    replayed = await letters.world.replay()
    after = await letters.row()
    assert replayed.rewritten == 6
    assert before[0] == "a<b>c</b>\n\nd"
    assert after == ("ac\n\nd", False, ["ac", "d"], before[3])
    assert await letters.past() == []


async def test_rows_of_older_rules_are_brought_up_to_date(letters: Letters) -> None:
    """Whatever the first rules made of a body, a replay reads it by those of today, and notes what is odd about it."""
    await letters.serve("lom<img align=left>vek")
    database = letters.world.database
    await database.execute(OF_OLDER_RULES)
    assert (await letters.row())[0] == "lomvek"
    assert (await letters.world.replay()).rewritten == 1
    assert (await letters.row())[0] == "lom<img align=left>vek"
    row = await database.fetchrow("SELECT _quality, _rules_version FROM canvas.message WHERE id = 'one'")
    assert row["_quality"] == ["markup_before_cutoff"]
    assert row["_rules_version"].startswith(f"{RULES}@")
    assert RULES > 1
    letters.change_rules()
    await letters.world.replay()
    assert (await letters.row())[0] == "lom\nvek"
    assert await database.fetchval("SELECT _quality FROM canvas.message WHERE id = 'one'") == []


async def test_a_replay_that_lost_its_lock(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had read is not written over the newer version: neither columns nor payloads nor recipients."""
    await letters.serve("Old one.", "Old two.", readers=2)
    letters.change_rules()
    overtake(letters, monkeypatch)
    await letters.world.replay()
    text, _, payloads, recipients = await letters.row()
    assert (text, payloads) == ("New one.\n\nNew two.", ["New one.", "New two."])
    assert recipients == [reader.partition("/")[2] for reader in letters.readers]


async def test_a_replay_whose_lock_another_run_has(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends as locked, at the write: nothing of what it had read is written."""
    await letters.serve("Old.")
    letters.change_rules()
    read_current = rederive.read_current

    async def read(connection: Connection, *args: Any) -> list[rederive.Version]:
        batch = await read_current(connection, *args)
        await letters.world.database.execute(CUT)
        await other.ensure()
        return batch

    monkeypatch.setattr(rederive, "read_current", read)
    async with open_warehouse(letters.world.dsn, "canvas", letters.world.settings.patience) as warehouse:
        other = RunLock(warehouse, "sync")
        with pytest.raises(RunLocked, match="message-mirror sync"):
            await letters.world.replay()
        await other.release()
    rules = await letters.world.database.fetch("SELECT DISTINCT _rules_version FROM canvas.message")
    assert len(rules) == 1


async def test_parts_are_guarded_by_the_row(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sabotage: without the lock's check and the rows' guard the parts of the old version are there again."""

    async def not_looked_at(_lock: RunLock, unit: Any, warehouse: Warehouse, *args: Any, **kwargs: Any) -> Any:
        return await warehouse.work(unit, warehouse, *args, **kwargs)

    async def unguarded(connection: Connection, warehouse: Warehouse, messages: Sequence[Message]) -> None:
        await land.rewrite_parts(connection, warehouse, messages)

    monkeypatch.setattr(RunLock, "work", not_looked_at)
    monkeypatch.setattr(rederive, "rewrite_current", unguarded)
    await letters.serve("Old one.", "Old two.", readers=2)
    letters.change_rules()
    overtake(letters, monkeypatch)
    await letters.world.replay()
    assert (await letters.row())[2] != ["New one.", "New two."]


async def test_a_deletion_closes_what_lies_in_quarantine(letters: Letters) -> None:
    """A version that could not be read, of a message that is gone since, is not brought back."""
    await letters.serve("Good.")
    await letters.hold_back("Was unreadable.", "one")
    letters.world.clinic.remove("one")
    assert (await letters.world.sync()).deleted == 1
    assert await letters.world.database.fetchval(OPEN) == 0
    assert (await letters.world.replay()).released == 0
    assert await letters.row() == ("Good.", True, None, None)


async def test_a_known_message_takes_what_was_met_last(letters: Letters) -> None:
    """An entry of a known id that lies open is newer than the row: a good version, or a deletion, had closed it."""
    await letters.serve("Good.")
    await letters.hold_back("Was unreadable.", "one")
    assert (await letters.world.replay()).released == 1
    assert await letters.row() == ("Was unreadable.", False, None, None)
    assert await letters.past() == ["Good."]


async def test_an_entry_without_an_id_does_not_overtake_a_row(letters: Letters) -> None:
    """Nothing tells whether the row is newer: the entry is closed, the row stays, and no false version is made."""
    await letters.serve("Good, the first.")
    await letters.hold_back("Unreadable, the second.", None)
    await letters.serve("Good, the third.")
    assert (await letters.world.replay()).released == 1
    assert await letters.row() == ("Good, the third.", False, None, None)
    assert await letters.past() == ["Good, the first."]
    assert await letters.world.database.fetchval(OPEN) == 0


async def test_an_entry_without_an_id_that_is_served_still(letters: Letters) -> None:
    """A worker that can read it lands it with the next sync, which closes it by its bytes."""
    await letters.serve("Good.")
    await letters.hold_back("Unreadable, and the last.", None)
    await letters.serve("Unreadable, and the last.")
    assert await letters.world.database.fetchval(OPEN) == 0
    assert (await letters.row())[0] == "Unreadable, and the last."


async def test_a_message_without_a_row_becomes_one(letters: Letters) -> None:
    """Of several versions that could not be read, with an id or without, the one met last is the row."""
    await letters.world.sync()
    await letters.hold_back("The first.", None)
    await letters.hold_back("The second.", None)
    assert (await letters.world.replay()).released == 2
    assert await letters.row() == ("The second.", False, None, None)
    assert await letters.past() == ["The first."]


async def test_the_version_that_was_served_last_is_landed_last(letters: Letters) -> None:
    """Two versions that could not be read, the first of them served again after the second."""
    await letters.serve("Readable.")
    for text in ("New style.", "Newer style.", "New style."):
        await letters.hold_back(text, "one")
    replayed = await letters.world.replay()
    assert (await letters.row())[0] == "New style."
    assert (replayed.new, replayed.changed) == (0, 2)
    run = await letters.world.database.fetchrow("SELECT new, changed FROM canvas_ops.run ORDER BY id DESC LIMIT 1")
    assert tuple(run) == (0, 2)
