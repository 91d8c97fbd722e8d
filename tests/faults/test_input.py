"""The small form of the proof of bad input, and whether it notices a mirror that is broken."""

from __future__ import annotations

import pytest

from tests.faults import input as proof
from tests.faults.input_sabotages import SABOTAGES
from tests.faults.proof import ProofResult

pytestmark = pytest.mark.proof  # by `make test-proofs`


@pytest.mark.timeout(400)  # half a minute where nothing else runs
async def test_malformed_entries_and_answers_are_accounted_for(warehouse_url: str) -> None:
    """Hand-made and hypothesis-made entries and answers: the small form of the proof."""
    result = await proof.run("small", 0, warehouse_url)
    assert result.violations == []
    assert result.counts["entries"] == proof.ENTRIES["small"]
    kinds = ("entries in quarantine", "entries that are rows", "strange answers refused", "strange answers accepted")
    assert all(result.counts[kind] > 0 for kind in kinds)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("sabotage", SABOTAGES)
async def test_a_broken_mirror_is_noticed(sabotage: str, warehouse_url: str) -> None:
    """With one decision of the mirror broken, the proof finds violations."""
    crafted = proof.craft(0, entries=0, spoilt_bodies=0)
    with SABOTAGES[sabotage]():
        result = await proof.prove(warehouse_url, crafted, ProofResult("input", 0), until_violated=True)
    assert result.violations
