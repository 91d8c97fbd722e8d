"""A first run knows no sizes: it asks for them, so that the longest search does not begin last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import mirror_settings
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync

if TYPE_CHECKING:
    from worker.jobs.run.progress import Progress

LETTERS = {"aa": 1, "bb": 2, "cc": 230, "dd": 3}


@pytest.fixture(autouse=True)
def worth_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small clinic be worth asking."""
    monkeypatch.setattr("worker.jobs.run.mirror.WORTH_ASKING", range(2 * len(LETTERS), 1001))


async def walked(url: str, database_dsn: str, source: BareSource, **variables: str) -> tuple[list[str], int]:
    """Sync, and return whose messages were asked for in which order, and how many entries were expected at most."""
    expected: list[int] = []

    def report(progress: Progress) -> None:
        expected.append(progress.expected)

    source.asked.clear()
    settings = mirror_settings(url, database_dsn, MIRROR_CONCURRENCY="1", **variables)
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
        order, expected = await walked(url, database_dsn, source)
        assert order[0] == "cc"
        assert expected == len(source.rows)
        assert sizes_asked(source) == 2 * len(LETTERS)

        again, _ = await walked(url, database_dsn, source)
        assert again[0] == "cc"
        assert sizes_asked(source) == 0


@pytest.mark.parametrize("worth", [range(2 * len(LETTERS) + 1, 1001), range(2 * len(LETTERS))])
async def test_sizes_are_not_asked_of_too_few_or_too_many(
    worth: range, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.jobs.run.mirror.WORTH_ASKING", worth)
    source = clinic()
    async with source.serve() as url:
        order, _ = await walked(url, database_dsn, source)
    assert sizes_asked(source) == 0
    assert order[0] == "aa"


async def test_sizes_are_not_asked_at_a_rate(database_dsn: str) -> None:
    """The number of requests then decides how long a run takes."""
    source = clinic()
    async with source.serve() as url:
        await walked(url, database_dsn, source, MIRROR_RATE="1000")
    assert sizes_asked(source) == 0


async def test_a_search_that_tells_no_size_is_walked_all_the_same(database_dsn: str) -> None:
    def say_no_total(_path: str, query: dict[str, str], bundle: dict[str, object]) -> None:
        if query.get("_count") == "1":
            bundle.pop("total")

    source = clinic()
    source.spoil = say_no_total
    async with source.serve() as url:
        order, _ = await walked(url, database_dsn, source)
    assert set(order) == set(LETTERS)
    assert sizes_asked(source) == 2 * len(LETTERS)
