"""A first run knows no sizes: it asks for them, so that the longest search does not begin last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import mirror_settings
from worker.jobs.run import sizes
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync

if TYPE_CHECKING:
    import pytest

    from worker.jobs.run.progress import Progress

LETTERS = {"aa": 1, "bb": 2, "cc": 230, "dd": 3}


async def walked(settings_of: str, database_dsn: str, source: BareSource, concurrency: int) -> tuple[list[str], int]:
    """Sync, and return whose messages were asked for in which order, and how many entries were expected at most."""
    expected: list[int] = []

    def report(progress: Progress) -> None:
        expected.append(progress.expected)

    source.asked.clear()
    settings = mirror_settings(settings_of, database_dsn, MIRROR_CONCURRENCY=str(concurrency))
    assert (await sync(settings, report)).outcome is Outcome.COMPLETE
    pages = [query for path, query in source.asked if path == "/Communication" and query["_count"] != "1"]
    return [query["sender"].rpartition("/")[2] for query in pages if "sender" in query], max(expected)


def clinic() -> BareSource:
    rows = [letter(f"{name}-{number}", name) for name, count in LETTERS.items() for number in range(count)]
    return BareSource(rows, dict.fromkeys(LETTERS, True))


def sizes_asked(source: BareSource) -> int:
    return sum(
        query["_count"] == "1" and "_id" not in query for path, query in source.asked if path == "/Communication"
    )


async def test_a_first_run_begins_with_the_longest_search(database_dsn: str) -> None:
    source = clinic()
    async with source.serve() as url:
        order, expected = await walked(url, database_dsn, source, concurrency=1)
        assert order[0] == "cc"
        assert expected == len(source.rows)
        assert sizes_asked(source) == 2 * len(LETTERS)

        again, _ = await walked(url, database_dsn, source, concurrency=1)
        assert again[0] == "cc"
        assert sizes_asked(source) == 0


async def test_sizes_are_not_asked_if_all_searches_begin_at_once(database_dsn: str) -> None:
    source = clinic()
    async with source.serve() as url:
        await walked(url, database_dsn, source, concurrency=2 * len(LETTERS))
    assert sizes_asked(source) == 0


async def test_sizes_are_not_asked_of_too_many_searches(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.jobs.run.mirror.ASKED_MAX", 2 * len(LETTERS) - 1)
    source = clinic()
    async with source.serve() as url:
        order, _ = await walked(url, database_dsn, source, concurrency=1)
    assert sizes_asked(source) == 0
    assert order[0] == "aa"


async def test_a_search_that_tells_no_size_is_walked_all_the_same(database_dsn: str) -> None:
    def say_no_total(_path: str, query: dict[str, str], bundle: dict[str, object]) -> None:
        if query.get("_count") == "1":
            bundle.pop("total")

    source = clinic()
    source.spoil = say_no_total
    async with source.serve() as url:
        order, _ = await walked(url, database_dsn, source, concurrency=1)
    assert set(order) == set(LETTERS)
    assert sizes_asked(source) == 2 * len(LETTERS) <= sizes.ASKED_MAX
