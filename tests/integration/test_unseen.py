"""Changes in nothing that an analyst sees: they are told, and the operator may say that they do not count."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import environment, mirror_settings, run_command
from worker.errors import EXIT_OK, EXIT_USAGE
from worker.jobs.run.plan import Outcome, changed_unseen
from worker.jobs.sync import sync
from worker.jobs.verify.job import verify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

READ_AT = "https://example.com/fhir/read-at"
FILES = "https://files.example.com/"
HISTORY = "SELECT count(*) FROM canvas.message_history"


@pytest.fixture
async def source() -> AsyncIterator[BareSource]:
    """Serve messages of which something is another at each read: an extension, a picture's URL, an element."""
    reads = count()
    source = BareSource([letter(f"m{number}", sent="2024-05-04T10:00:00Z") for number in range(20)])

    def change(path: str, _query: dict[str, str], bundle: dict[str, Any]) -> None:
        if path == "/Communication":
            read = next(reads)
            picture = f'<p>Look: <img src="{FILES}a.png?sig={read}&amp;x=1" alt="A picture."></p>'
            bundle["entry"] = [
                {
                    "resource": {
                        **entry["resource"],
                        "extension": [{"url": READ_AT, "valueInteger": read}],
                        "note": [{"text": f"Read {read}"}],
                        "payload": [{"contentString": picture}],
                    }
                }
                for entry in bundle["entry"]
            ]

    source.spoil = change
    async with source.serve() as url:
        source.url = url
        yield source


async def test_that_all_changed_and_nothing_is_seen_of_it_is_said(
    source: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    variables = environment(source.url, database_dsn)
    first = await run_command(variables, "sync")
    assert "unseen" not in first.out
    typed = await run_command(variables, "sync")
    assert typed.code == EXIT_OK
    assert "  unseen      20 changed, and no column that an analyst sees did" in typed.out
    assert "MIRROR_IGNORE" in typed.out
    assert await database.fetchval(HISTORY) == 20


async def test_what_is_ignored_makes_no_version(
    source: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    settings = mirror_settings(source.url, database_dsn, MIRROR_IGNORE=f"note {READ_AT}, {FILES}")
    for _ in range(3):
        result = await sync(settings)
        assert (result.outcome, result.sums.changed) == (Outcome.COMPLETE, 0)
    assert (await verify(settings)).clean
    assert await database.fetchval(HISTORY) == 0
    source.rows[3] = letter("m3", sent="2024-05-05T10:00:00Z")
    changed = await sync(settings)
    assert (changed.sums.changed, changed.sums.unseen) == (1, 0)


async def test_what_an_analyst_sees_is_no_such_change(source: BareSource, database_dsn: str) -> None:
    settings = mirror_settings(source.url, database_dsn)
    await sync(settings)
    source.rows = [{**row, "status": "completed"} for row in source.rows]
    result = await sync(settings)
    assert (result.sums.changed, result.sums.unseen, changed_unseen(result.sums)) == (20, 0, False)


@pytest.mark.parametrize("value", ["payload", "note sent", "https:", "Not-An-Element"])
async def test_what_cannot_be_ignored(value: str, source: BareSource, database_dsn: str) -> None:
    finished = await run_command(environment(source.url, database_dsn, MIRROR_IGNORE=value), "sync")
    assert finished.code == EXIT_USAGE
    assert "MIRROR_IGNORE" in finished.err
