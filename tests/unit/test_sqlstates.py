"""The table of SQLSTATEs: each kind of failure, and what is done about it."""

from __future__ import annotations

import asyncpg
import pytest

from worker.load.postgres.sqlstates import MEANINGS, Then, meaning_of

WAITED_FOR = (
    *("08000", "08006", "08P01", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "25006", "53300"),
    *("40001", "40P01"),
)
ONCE_MORE = ("57014", "28000", "28P01")
ABOUT_A_ROW = ("22001", "22003", "22P02", "23502", "23505", "23514", "23P01", "54000", "38000", "P0001")
FINAL = ("42501", "42P01", "3D000", "53100", "53200", "55P03", "58P01", "XX000", "XX001", "0A000", "42703", "26000")


def error_of(sqlstate: str, source: str | None = None) -> asyncpg.PostgresError:
    """Return the error that the driver makes of a server's report."""
    fields = {"S": "ERROR", "C": sqlstate, "M": "its words", "F": source}
    error: asyncpg.PostgresError = asyncpg.PostgresError.new({key: value for key, value in fields.items() if value})
    return error


@pytest.mark.parametrize(
    ("sqlstate", "then"),
    [
        *((one, Then.WAIT) for one in WAITED_FOR),
        *((one, Then.ONCE_MORE) for one in ONCE_MORE),
        *((one, Then.SET_ASIDE) for one in ABOUT_A_ROW),
        *((one, Then.END) for one in FINAL),
    ],
)
def test_what_is_done_about_a_failure(sqlstate: str, then: Then) -> None:
    assert meaning_of(error_of(sqlstate)).then is then


@pytest.mark.parametrize("sqlstate", ["53100", "58P01", "53200"])
def test_shared_memory_is_told_from_a_disk(sqlstate: str) -> None:
    """The server says of it that the disk is full, or that a file is not there."""
    meaning = meaning_of(error_of(sqlstate, "dsm_impl.c"))
    assert "shared memory" in meaning.what
    assert "--shm-size" in meaning.next


def test_every_meaning_says_what_happened_and_what_to_do() -> None:
    """Who waits says why; who ends says what to type, in whole sentences."""
    for sqlstate, meaning in MEANINGS.items():
        if meaning.then is Then.WAIT:
            assert meaning.what, sqlstate
            assert not meaning.what.endswith("."), sqlstate
        else:
            assert meaning.next.endswith((".", ")", "manual")), sqlstate
            assert not meaning.what or meaning.what.endswith("."), sqlstate
