"""A source that is nearly right: another form than FHIR's is read where there is one way to read it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import environment, mirror_settings, run_command
from worker.errors import EXIT_INCOMPLETE, EXIT_OK
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    Spoil = Callable[[str, dict[str, str], dict[str, Any]], object]

ODD_DATES = "SELECT messages FROM canvas.quality WHERE finding = 'odd_date'"


@pytest.mark.parametrize(
    "sent", ["2024-02-01T09:00:00+0000", "2024-02-01T09:00Z", "2024-02-01 09:00:00Z", "2024-02-01t09:00:00z"]
)
async def test_dates_that_name_one_instant_are_rows_and_counted(
    sent: str, database_dsn: str, database: asyncpg.Connection
) -> None:
    """A source writes all its dates in another form than FHIR's: its messages are in the mirror all the same."""
    source = BareSource([letter(f"m{number}", sent=sent) for number in range(20)])
    async with source.serve() as url:
        result = await sync(mirror_settings(url, database_dsn))
        assert (result.outcome, result.sums.new) == (Outcome.COMPLETE, 20)
        assert {row["sent_at"] for row in await database.fetch("SELECT sent_at FROM canvas.message")} == {
            datetime(2024, 2, 1, 9, tzinfo=UTC)
        }
        assert await database.fetchval(ODD_DATES) == 20
        source.rows = [letter(f"m{number}", sent="2024-02-01T09:00:00Z") for number in range(20)]
        assert (await sync(mirror_settings(url, database_dsn))).sums.changed == 0, "the same instants"


async def test_dates_that_leave_their_zone_open_stay_refused(database_dsn: str, database: asyncpg.Connection) -> None:
    source = BareSource([letter("good"), letter("open", sent="2024-02-01T09:00:00")])
    async with source.serve() as url:
        await sync(mirror_settings(url, database_dsn))
    assert await database.fetchval("SELECT reason FROM canvas.unusable") == "impossible_date"
    assert await database.fetchval("SELECT count(*) FROM canvas.message") == 1


# Bundles


def text_total(_path: str, _query: dict[str, str], bundle: dict[str, Any]) -> None:
    bundle["total"] = str(bundle["total"])


def decimal_total(_path: str, _query: dict[str, str], bundle: dict[str, Any]) -> None:
    bundle["total"] = float(bundle["total"])


def late_total(_path: str, _query: dict[str, str], bundle: dict[str, Any]) -> None:
    """Say only on the last page of a search how many there are."""
    if "link" in bundle:
        del bundle["total"]


def outcome_entry(_path: str, _query: dict[str, str], bundle: dict[str, Any]) -> None:
    """Say of an empty search that it is empty, as an entry without a mode."""
    if not bundle["entry"]:
        issue = {"severity": "information", "code": "informational", "details": {"text": "Nothing found."}}
        bundle["entry"] = [{"resource": {"resourceType": "OperationOutcome", "issue": [issue]}}]


@pytest.mark.parametrize("spoil", [text_total, decimal_total, late_total, outcome_entry])
async def test_a_bundle_that_can_be_read_in_one_way_only_is_read(
    spoil: Spoil, database_dsn: str, database: asyncpg.Connection
) -> None:
    source = BareSource([letter(f"m{number}") for number in range(25)], {"pr": True, "new": False}, 10, spoil=spoil)
    async with source.serve() as url:
        result = await sync(mirror_settings(url, database_dsn))
        checked = await run_command(environment(url, database_dsn), "check")
    assert (result.outcome, result.reasons) == (Outcome.COMPLETE, {})
    assert await database.fetchval("SELECT count(*) FROM canvas.message") == 25
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.quarantine") == 0
    assert checked.code == EXIT_OK, checked.out


# What `check` sees of the searches


def without_total(path: str, _query: dict[str, str], bundle: dict[str, Any]) -> None:
    if path == "/Communication":
        del bundle["total"]


def leading(prefix: str) -> Spoil:
    """Let the `next` links of searches for messages begin with something else than the base URL."""

    def spoil(path: str, _query: dict[str, str], bundle: dict[str, Any]) -> None:
        if path == "/Communication":
            for link in bundle.get("link", ()):
                link["url"] = prefix + link["url"]

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_total, "does not say how many there are (no_total) — message-mirror check, then ask Canvas"),
        (
            leading("https://inner.example.com:8443/fhir"),
            "and a `next` link leads to https://inner.example.com:8443/fhir.",
        ),
        (leading("https://fhir.example.com:443:443"), "and a `next` link leads to https://fhir.example.com:443:443."),
    ],
)
async def test_check_looks_at_a_search_and_where_its_link_leads(spoil: Spoil, said: str, database_dsn: str) -> None:
    """And names what CANVAS_FHIR_URL is and what the link holds, but not what is searched for."""
    source = BareSource([letter("a"), letter("b")], spoil=spoil)
    async with source.serve() as url:
        checked = await run_command(environment(url, database_dsn), "check")
    assert checked.code == EXIT_INCOMPLETE, checked.out
    assert said in checked.out
    assert "recipient" not in checked.out
    if "leads" in said:
        assert f"CANVAS_FHIR_URL is {url}, and" in checked.out


async def test_check_follows_a_link_that_a_gateway_forgot_its_path_in(database_dsn: str) -> None:
    """The path is doubled by following it, and something else than the source says that nothing is there."""
    source = BareSource([letter("a"), letter("b")], spoil=leading("/inner/fhir"))
    async with source.serve() as url:
        checked = await run_command(environment(url, database_dsn), "check")
    assert checked.code == EXIT_INCOMPLETE, checked.out
    assert "✗ the `next` link of a search for messages fails (not_fhir_404)" in checked.out
    assert f"CANVAS_FHIR_URL is {url}, and a `next` link leads to /inner/fhir." in checked.out
