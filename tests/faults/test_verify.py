"""The small form of the proof `verify`, and that it catches what it is there for."""

from __future__ import annotations

import pytest

from tests.faults import verify
from tests.faults.proof import ProofResult

pytestmark = pytest.mark.proof  # by `make test-proofs`

SEED = 1

HOARDS = """
from worker.jobs.run import entries
read, hoard = entries.read_entry, []

def keep(entry, *others):
    hoard.append(bytearray(entry) * 100)
    return read(entry, *others)

entries.read_entry = keep
"""

TAKES_ALL_FOR_MOVED = """
from worker.jobs.verify import compare
compare.judge = lambda *_, **__: compare.Verdict.MOVED
"""

FORGETS_WHAT_IT_FOUND = """
from worker.load import sightings

async def nothing(*_):
    return None

sightings.leave_for_sync = sightings.leave_for_replay = nothing
"""

LOOKS_AT_IDS_ONLY = """
from worker.load.postgres.database import Warehouse
sql = Warehouse.sql
Warehouse.sql = lambda self, name: sql(self, name).replace("OR seen.row_differs", "")
"""


async def test_three_planted_differences_are_found_in_flat_memory(warehouse_url: str) -> None:
    """One missing, one extra, one edited: just these are found, and mended by what verify advises."""
    result = await verify.run("small", SEED, warehouse_url)
    assert result.violations == []
    assert result.counts["planted differences"] == 6


async def test_memory_that_grows_is_found(warehouse_url: str) -> None:
    """Sabotage: every entry that was read is kept."""
    result = await verify.run("small", SEED, warehouse_url, sabotage=HOARDS)
    assert any("memory is not flat" in one for one in result.violations)


@pytest.mark.parametrize(
    ("sabotage", "told"),
    [
        (TAKES_ALL_FOR_MOVED, "and no others, were to be found"),
        (LOOKS_AT_IDS_ONLY, "and no others, were to be found"),
        (FORGETS_WHAT_IT_FOUND, "were to be mended"),
    ],
    ids=["TAKES_ALL_FOR_MOVED", "LOOKS_AT_IDS_ONLY", "FORGETS_WHAT_IT_FOUND"],
)
async def test_a_verification_that_sees_too_little_is_found(sabotage: str, told: str, warehouse_url: str) -> None:
    """Sabotages: all is said to have moved; columns are not compared; nothing is left for the next sync and replay."""
    result = ProofResult("verify", SEED)
    await verify.find(100, SEED, warehouse_url, result, mend=True, sabotage=sabotage)
    assert any(told in one for one in result.violations)
