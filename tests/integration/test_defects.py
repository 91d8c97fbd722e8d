"""One record never ends a run: our own code is made to fail in every stage of deriving it, in every job."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.poison import POISON, failing, poisoned, stages, unguarded
from tests.integration.bare_source import BareSource, letter
from tests.integration.loopback import FakeClock
from tests.integration.mirroring import mirror_settings
from worker.defects import guarded
from worker.errors import PageFailed
from worker.extract.client import Source
from worker.jobs.backfill import backfill
from worker.jobs.replay import replay
from worker.jobs.run.plan import Outcome, Selection
from worker.jobs.status import status
from worker.jobs.sync import sync
from worker.jobs.verify.job import verify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import asyncpg

    from worker.settings import Settings

SOUND = 30
SURROGATE = f"surrogate-{POISON}"
# They fail a page, not a record: its search is not accepted, and the run goes on.
OF_A_PAGE = frozenset(f"extract.bundle.{name}" for name in ("_decode_page", "_decode_around_entries", "_cut_entries"))
# What is given no record, and what is called in other tests of this file only.
REACHED_OTHERWISE = frozenset(
    (
        *("extract.bundle._total", "extract.bundle._next_url", "transform.message._instant"),
        *("extract.entry._id_of", "extract.operation_outcome.says_not_whole", "jobs.verify.differences.judge"),
        "transform.text.fallback.text_without_structure",
    )
)
TEXTS = "SELECT id, body_text, body_html, _quality FROM canvas.message"


def rows() -> list[dict[str, Any]]:
    sound = [letter(f"sound-{n}", text=f"<p>Sound {n}</p>", sent="2024-05-04T10:00:00Z") for n in range(SOUND)]
    return [*sound, poisoned(), poisoned(SURROGATE, payload=[{"contentString": f"\ud800 {POISON}"}])]


@pytest.fixture
async def source() -> AsyncIterator[BareSource]:
    """Serve sound messages and two poisoned ones."""
    source = BareSource(rows())
    async with source.serve() as url:
        source.url = url
        yield source


@contextmanager
def nothing_is_said(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    captured = capsys.readouterr()
    assert POISON not in captured.out + captured.err


async def violations(database: asyncpg.Connection) -> list[str]:
    """Say what is not accounted for: sound messages that are not as they should be, poisoned ones that are nowhere."""
    found = {row["id"]: row for row in await database.fetch(TEXTS)}
    wrong = [
        f"sound-{n}" for n in range(SOUND) if found.get(f"sound-{n}", {"body_text": None})["body_text"] != f"Sound {n}"
    ]
    wrong += [f"{one}: flagged" for one, row in found.items() if one.startswith("sound") and row["_quality"]]
    quarantine = await database.fetch("SELECT reason, entry FROM canvas_ops.quarantine WHERE resolved_at IS NULL")
    for one in (f"poison-{POISON}", SURROGATE):
        row, is_held = found.get(one), any(one.encode() in held["entry"] for held in quarantine)
        if row is None and not is_held:
            wrong.append(f"{one}: neither row nor whole in quarantine")
        if row is not None and POISON not in (row["body_text"] or ""):
            wrong.append(f"{one}: its words are not in its row")
    reasons = {held["reason"] for held in quarantine}
    return wrong + [f"reason {one}" for one in reasons - {"defect", "lone_surrogate"}]


async def every_job(settings: Settings, database: asyncpg.Connection, *, whole: bool) -> list[str]:
    """Run every job and look at what it leaves behind."""
    wrong: list[str] = []
    expected = Outcome.COMPLETE if whole else Outcome.INCOMPLETE
    connect = partial(Source.open, clock=FakeClock().clock())
    everything = Selection(by_patient=True)
    for name, job in (
        ("sync", sync(settings, connect=connect)),
        ("backfill", backfill(settings, everything, connect=connect)),
    ):
        result = await job
        wrong += [f"{name}: {result.outcome} {result.reasons}"] if result.outcome is not expected else []
        wrong += [f"{name}: {one}" for one in (await violations(database) if whole else [])]
    verified = await verify(settings, connect=connect)
    wrong += [f"verify: {verified.reason} {verified.found.differences}"] if verified.clean is not whole else []
    await database.execute("UPDATE canvas.message SET _rules_version = 'older'")
    await replay(settings)
    return wrong + [f"replay: {one}" for one in (await violations(database) if whole else [])]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("stage", sorted(stages()))
async def test_a_record_that_fails_in_any_stage_ends_no_run(
    stage: str, source: BareSource, database_dsn: str, database: asyncpg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sound messages are as they should be, the record is a flagged row or in quarantine till it is replayed."""
    settings = mirror_settings(source.url, database_dsn, MIRROR_IGNORE="note")
    with nothing_is_said(capsys), failing(stage) as threw:
        wrong = await every_job(settings, database, whole=stage not in OF_A_PAGE)
    assert wrong == []
    assert threw or stage in REACHED_OTHERWISE
    await replay(settings)
    if stage in OF_A_PAGE:
        assert (await sync(settings)).outcome is Outcome.COMPLETE
    row = await database.fetchrow(f"{TEXTS} WHERE id = $1", f"poison-{POISON}")
    assert (row["body_text"], row["_quality"]) == (f"One {POISON}\n\nTwo {POISON}", [])
    assert (await status(settings))["rows_by_older_rules"] == 0


@pytest.mark.parametrize(
    "pair",
    [
        ("extract.entry._read_entry", "extract.entry._id_of"),
        ("transform.text.innertext.inner_text", "transform.text.fallback.text_without_structure"),
        ("transform.message._messages", "transform.sides.sides_of"),
    ],
)
async def test_what_stands_in_may_fail_too(
    pair: tuple[str, str], source: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    with failing(*pair) as threw:
        assert await every_job(mirror_settings(source.url, database_dsn), database, whole=True) == []
    assert {*threw} == {*pair}


async def test_what_cannot_be_told_of_an_answer_is_taken_for_the_worse(source: BareSource, database_dsn: str) -> None:
    """The source says something about its own answer, and our own code fails on it: the search is not accepted."""

    def add_outcome(path: str, query: dict[str, str], found: dict[str, Any]) -> None:
        if path == "/Communication" and "recipient" in query:
            outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "information", "details": POISON}]}
            found["entry"].append({"resource": outcome, "search": {"mode": "outcome"}})

    source.spoil = add_outcome
    with failing("extract.operation_outcome.says_not_whole") as threw:
        result = await sync(mirror_settings(source.url, database_dsn))
    assert threw
    assert (result.outcome, result.reasons) == (Outcome.INCOMPLETE, {"results_not_whole": 1})


async def test_a_difference_that_cannot_be_judged_is_not_proven(source: BareSource, database_dsn: str) -> None:
    settings = mirror_settings(source.url, database_dsn)
    await sync(settings)
    source.rows = [row if row["id"] != f"poison-{POISON}" else {**row, "payload": []} for row in source.rows]
    with failing("jobs.verify.differences.judge") as threw:
        verified = await verify(settings, sync_first=False)
    assert threw
    assert (verified.reason, verified.found.unknown) == ("differences_not_answered", 1)


@pytest.mark.parametrize("error", [RecursionError, MemoryError, type("PanicException", (BaseException,), {})])
async def test_whatever_kind_of_failure_it_is(
    error: type[BaseException], source: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    """A body may exhaust the stack or the memory; a parser that is written in Rust may panic."""
    with failing("transform.text.innertext.inner_text", error=error):
        assert (await sync(mirror_settings(source.url, database_dsn))).outcome is Outcome.COMPLETE
    row = await database.fetchrow(f"{TEXTS} WHERE id = $1", f"poison-{POISON}")
    assert (row["body_text"], row["_quality"]) == (f"One {POISON}\n\nTwo {POISON}", ["defect"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, SystemExit, PageFailed])
def test_a_signal_and_an_error_of_our_own_are_no_defects(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error("http_500", "Made up.")

    with pytest.raises(error):
        guarded(fail, lambda: None)


async def test_a_defect_is_flagged_counted_and_logged_once(
    source: BareSource, database_dsn: str, database: asyncpg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line in the log of a run, however many messages it befalls, and another in the next run's."""
    settings = mirror_settings(source.url, database_dsn)
    for number in range(2):
        source.rows += [poisoned(f"another-{POISON}-{number}-{twin}") for twin in "ab"]
        with failing("transform.text.innertext.inner_text"):
            await sync(settings)
        said = capsys.readouterr()
        assert (said.out + said.err).count("our own code failed on a record") == 1
        assert "IndexError at" in said.out + said.err
        assert POISON not in said.out + said.err
    assert await database.fetchval("SELECT messages FROM canvas.quality WHERE finding = 'defect'") == 5
    assert (await status(settings))["rows_by_older_rules"] == 5
    assert (await replay(settings)).rewritten == 5
    assert await database.fetchval("SELECT messages FROM canvas.quality WHERE finding = 'defect'") == 0


async def test_a_comment_that_looks_like_tags_costs_no_word(database_dsn: str, database: asyncpg.Connection) -> None:
    """`<<` in a comment, before many short paragraphs: every paragraph is read, and the run is complete."""
    body = "<!-- <<name>> -->" + "".join(f"<p>Line {number}.</p>" for number in range(160))
    source = BareSource([letter("odd", text=body, sent="2024-05-04T10:00:00Z"), letter("sound")])
    async with source.serve() as url:
        assert (await sync(mirror_settings(url, database_dsn))).outcome is Outcome.COMPLETE
    rows = {row["id"]: row for row in await database.fetch(TEXTS)}
    assert rows.keys() == {"odd", "sound"}
    assert rows["odd"]["body_text"] == "\n\n".join(f"Line {number}." for number in range(160))
    assert "name" not in rows["odd"]["body_html"]


async def test_without_the_guard_the_proof_finds_it(source: BareSource, database_dsn: str) -> None:
    """Sabotage: what guards a record is removed."""
    with unguarded(), failing("transform.text.innertext.inner_text"), pytest.raises(IndexError):
        await sync(mirror_settings(source.url, database_dsn))
