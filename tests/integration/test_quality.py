"""What `canvas.quality` counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.generator import random_markup
from tests.integration.mirroring import message
from tests.rows import to_message
from tests.unit.corpus import written_messages
from worker.extract.entry import read_resource
from worker.jobs.run.derive import rules_of
from worker.load.land import land_messages
from worker.load.postgres.database import Warehouse, open_warehouse
from worker.load.postgres.migrations import migrate
from worker.records import Communication
from worker.settings import read_settings
from worker.transform.bodies import ReadHtml
from worker.transform.cutoff import has_markup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

BEFORE, IN_THE_HOUR, AFTER = "2021-03-01T10:00:00Z", "2022-10-27T00:30:00Z", "2024-03-01T10:00:00Z"
NEARLY = (
    "take 1<x tabs", "BP <120/80>", "a <b and c> d", "<ann@example.com>", "AT&T;", "?a=1&copy=2", "&copy;", "&nosuch;",
    "<p", "<o:p>", "<q:p>", "<!-- a", "<!-- a -->", "<!doctype html>", "<br/>", "</p>", "<input disabled>", "<a href>",
    "<a href = 'x'>", "<p\nclass=x>", "<P CLASS=x>", "<b>", "<bb>", "< b>", "&#8217;", "&#x20;", "&#;", "<b a='<'>",
)  # fmt: skip
TOO_MUCH = {"<p>bomb": ReadHtml("bomb", None)}
_UNUSABLE = """
INSERT INTO canvas_ops.quarantine (
    raw_hash, message_id, reason, entry, parameter, value, _run_id, _first_seen_at, _last_run_id, _last_seen_at
)
VALUES ('\\x00', $1, 'nul_character', '{}', 'sender', 'Practitioner/x', 1, now(), 1, now())
"""


@pytest.fixture
async def warehouse(database_dsn: str) -> AsyncIterator[Warehouse]:
    """Give a migrated warehouse in the test's database."""
    async with open_warehouse(database_dsn, "canvas", timedelta(seconds=5)) as warehouse:
        await migrate(warehouse)
        yield warehouse


async def land(warehouse: Warehouse, *resources: dict[str, Any]) -> None:
    communications = [read_resource(json.dumps(resource).encode()) for resource in resources]
    rules = rules_of(read_settings({}))
    rows = [to_message(one, rules, TOO_MUCH) for one in communications if isinstance(one, Communication)]
    assert len(rows) == len(resources)
    await warehouse.work(land_messages, warehouse, rows, run_id=1)


async def findings(database: asyncpg.Connection) -> dict[str, int]:
    return {row["finding"]: row["messages"] for row in await database.fetch("SELECT * FROM canvas.quality")}


async def test_each_finding_counts_its_messages(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    await land(
        warehouse,
        message("plain", sent=BEFORE),
        message("backdated", text="<p>Hello</p>", sent=BEFORE),
        message("hour", text="<p>Hello</p>", sent=IN_THE_HOUR),
        message("html", text="<p>Hello</p>", sent=AFTER),
        message("undated", text="<p>Hello</p>", sent=None),
        message("large", text="<p>bomb", sent=AFTER),
        message("future", sent="2999-01-01T00:00:00Z"),
        message("empty", sent=AFTER, payload=[]),
        message("picture", text="<img src=x>", sent=AFTER, status="preparation"),
        message("void", sent=None, status="entered-in-error"),
        message("odd", sent="2024-03-01 10:00+0000"),
    )
    await database.execute(_UNUSABLE, "plain")
    found = await findings(database)
    assert {name: found[name] for name in found if name != "possible_drafts"} == {
        "markup_before_cutoff": 1,
        "html_over_caps": 1,
        "html_in_cutoff_hour": 1,
        "html_without_sent": 1,
        "without_text": 2,
        "without_sent": 2,
        "sent_after_first_seen": 1,
        "odd_date": 1,
        "defect": 0,
        "partial": 0,
        "unknown_direction": 0,
        "newer_version_unusable": 1,
    }
    rows = await database.fetch("SELECT finding, live_messages FROM canvas.quality")
    live = {row["finding"]: row["live_messages"] for row in rows}
    assert (live["without_text"], live["without_sent"], live["newer_version_unusable"]) == (1, 1, 1)
    unusable = await database.fetchrow("SELECT message_id, reason, has_row FROM canvas.unusable")
    assert tuple(unusable) == ("plain", "nul_character", True)


async def test_what_is_odd_about_a_version_goes_to_history_with_it(
    warehouse: Warehouse, database: asyncpg.Connection
) -> None:
    await land(warehouse, message("one", text="Hello", sent="2024-03-01T10:00Z"))
    await land(warehouse, message("one", text="Hello", sent="2024-03-01T10:00:00Z"))
    assert await database.fetchval("SELECT _quality FROM canvas.message") == ["odd_date"], "the same instant, no change"
    await land(warehouse, message("one", text="Good-bye", sent="2024-03-01T10:00:00Z"))
    assert await database.fetchval("SELECT _quality FROM canvas.message") == []
    assert await database.fetchval("SELECT _quality FROM canvas.message_history") == ["odd_date"]


async def test_without_messages_nothing_is_found(warehouse: Warehouse, database: asyncpg.Connection) -> None:
    assert warehouse.schema == "canvas"
    rows = await database.fetch("SELECT messages, live_messages FROM canvas.quality")
    assert {tuple(row) for row in rows} == {(0, 0)}


async def test_a_draft_that_is_sent_later_has_no_time_in_the_future(
    warehouse: Warehouse, database: asyncpg.Connection
) -> None:
    """It was mirrored before it was sent, as the finding says of it."""
    await land(warehouse, message("draft", sent=None, status="preparation"))
    assert (await findings(database))["sent_after_first_seen"] == 0
    await land(warehouse, message("draft", sent=datetime.now(UTC).isoformat(), status="completed"))
    row = await database.fetchrow("SELECT * FROM canvas.quality WHERE finding = 'sent_after_first_seen'")
    assert (row["messages"], "drafts that were sent later" in row["meaning"]) == (1, True)


async def test_what_was_sent_before_the_cutoff_and_looks_like_html_is_counted(
    warehouse: Warehouse, database: asyncpg.Connection
) -> None:
    """Of written messages, near misses and random markup, those that would be read as HTML had they been sent later."""
    random = Random(1)  # noqa: S311  seeded, to be the same again
    sources = {
        "near": NEARLY,
        "written": [body.html for body in written_messages()],
        "random": [random_markup(random) for _ in range(500)],
    }
    looking = 0
    for kind, bodies in sources.items():
        storable = [body for body in bodies if "\x00" not in body and not any("\ud800" <= c <= "\udfff" for c in body)]
        await land(warehouse, *(message(f"{kind}-{at}", text=text, sent=BEFORE) for at, text in enumerate(storable)))
        looking += sum(map(has_markup, storable))
        assert (await findings(database))["markup_before_cutoff"] == looking, kind
