"""The small form of the proof of faults, and whether it notices a mirror that is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults import faults
from tests.faults.fault_cases import STARTS, Case
from tests.faults.fault_sabotages import SABOTAGES
from tests.faults.script import FAULTS, Script

if TYPE_CHECKING:
    from tests.faults.fault_cases import Start

pytestmark = pytest.mark.proof  # by `make test-proofs`


@pytest.mark.timeout(400)  # half a minute where nothing else runs
async def test_whatever_befalls_a_run_it_is_complete_or_says_so(warehouse_url: str) -> None:
    """Each kind of fault at some request, some that last, and some pairs: the small form of the proof."""
    result = await faults.run("small", 0, warehouse_url)
    assert result.violations == []
    assert result.counts["kinds of fault"] == len(FAULTS)
    assert result.counts["runs complete"] > len(FAULTS)


@pytest.mark.parametrize("start", STARTS)
async def test_a_busy_clinic_is_mirrored_completely(start: Start, warehouse_url: str) -> None:
    """Messages come from some request on, while all searches are read."""
    cases = [Case(start, Script({number: ("inbox_grows",)}), 0) for number in (1, 6, 12, 20)]
    result = await faults.prove(warehouse_url, cases)
    assert result.violations == []
    assert result.counts["runs complete"] == 2 * len(cases)


@pytest.mark.parametrize("sabotage", SABOTAGES)
async def test_a_broken_mirror_is_noticed(sabotage: str, warehouse_url: str) -> None:
    """With one decision of the mirror broken, the proof finds violations."""
    broken = SABOTAGES[sabotage]
    with broken.breaks():
        result = await faults.prove(warehouse_url, broken.cases(), until_violated=True)
    assert result.violations
