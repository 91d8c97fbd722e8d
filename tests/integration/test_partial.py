"""A version that the source itself calls partial never lands over one that is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import mirror_settings
from worker.jobs.replay import replay
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync
from worker.jobs.verify.job import verify
from worker.load import worklist

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.settings import Settings

SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
ROW = "SELECT body_text, _quality, _deleted_at FROM canvas.message WHERE id = $1"
OPEN = "SELECT message_id FROM canvas_ops.quarantine WHERE reason = 'partial' AND resolved_at IS NULL"
METAS: dict[str, dict[str, Any]] = {
    "subsetted": {"tag": [{"system": SYSTEM, "code": "SUBSETTED"}]},
    "redacted": {"security": [{"system": SYSTEM, "code": "REDACTED"}]},
    "masked, beside others": {"security": [{"code": "N"}, {"system": SYSTEM, "code": "MASKED"}]},
}


def partial(message_id: str, meta: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """Return a message as a source shows it that leaves its words out."""
    return letter(message_id, **{"meta": meta or METAS["subsetted"], "payload": [], **changed})


@pytest.fixture
async def source() -> AsyncIterator[BareSource]:
    source = BareSource([letter(f"m{number}", text=f"Words {number}.") for number in range(6)])
    async with source.serve() as url:
        source.url = url
        yield source


@pytest.fixture
def settings(source: BareSource, database_dsn: str) -> Settings:
    return mirror_settings(source.url, database_dsn)


async def text_of(database: asyncpg.Connection, message_id: str) -> tuple[str | None, list[str]]:
    row = await database.fetchrow(ROW, message_id)
    assert row["_deleted_at"] is None
    return row["body_text"], row["_quality"]


@pytest.mark.parametrize("meta", METAS.values(), ids=METAS)
async def test_a_partial_version_is_set_aside_until_it_is_whole(
    meta: dict[str, Any], source: BareSource, settings: Settings, database: asyncpg.Connection
) -> None:
    await sync(settings)
    source.rows[2] = partial("m2", meta)
    for new in (1, 0):
        result = await sync(settings)
        assert (result.outcome, result.sums.quarantined, result.sums.changed) == (Outcome.COMPLETE, new, 0)
        assert await text_of(database, "m2") == ("Words 2.", [])
        assert [row["message_id"] for row in await database.fetch(OPEN)] == ["m2"]
    verified = await verify(settings)
    assert (verified.clean, verified.found.differences) == (True, {})
    assert (await replay(settings)).still_quarantined == 1
    assert await text_of(database, "m2") == ("Words 2.", [])
    source.rows[2] = letter("m2", text="Other words.")
    assert (await sync(settings)).sums.changed == 1
    assert await text_of(database, "m2") == ("Other words.", [])
    assert await database.fetch(OPEN) == []


async def test_a_first_sight_lands_flagged_and_a_whole_version_lands_over_it(
    source: BareSource, settings: Settings, database: asyncpg.Connection
) -> None:
    source.rows[2] = partial("m2")
    assert (await sync(settings)).outcome is Outcome.COMPLETE
    assert await text_of(database, "m2") == (None, ["partial"])
    assert await database.fetchval("SELECT messages FROM canvas.quality WHERE finding = 'partial'") == 1
    source.rows[2] = partial("m2", sent="2022-05-04T10:00:00Z")
    assert (await sync(settings)).sums.changed == 1, "partial over partial"
    assert (await verify(settings)).clean
    source.rows[2] = letter("m2", text="Words 2.", sent="2022-05-04T10:00:00Z")
    assert (await sync(settings)).sums.changed == 1
    assert await text_of(database, "m2") == ("Words 2.", [])
    assert (await verify(settings)).clean


async def test_the_same_content_with_a_tag_is_another_version(
    source: BareSource, settings: Settings, database: asyncpg.Connection
) -> None:
    """A tag that goes away, and nothing else, takes the flag with it."""
    source.rows[2] = letter("m2", meta=METAS["redacted"])
    await sync(settings)
    assert await text_of(database, "m2") == ("Hello.", ["partial"])
    source.rows[2] = letter("m2")
    await sync(settings)
    assert await text_of(database, "m2") == ("Hello.", [])


async def test_many_at_once_are_a_flood(source: BareSource, settings: Settings) -> None:
    source.rows += [letter(f"n{number}") for number in range(11)]
    await sync(settings)
    source.rows = [partial(row["id"]) for row in source.rows]
    assert (await sync(settings)).why == ["quarantine"]


async def test_sabotage_a_partial_version_lands_over_a_whole_one(
    source: BareSource, settings: Settings, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> list[Any]:
        return []

    monkeypatch.setattr(worklist, "find_partial", nothing)
    await sync(settings)
    source.rows[2] = partial("m2")
    await sync(settings)
    assert await text_of(database, "m2") == (None, ["partial"]), "what the tests above forbid"
