"""Every sabotage is listed in tests/README.md, and every one that is listed there exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults import (
    fault_sabotages,
    input_sabotages,
    states_sabotages,
    test_canary,
    test_cuts,
    test_hung_connection,
    test_kills,
    test_leases,
    test_maintenance,
    test_roster,
    test_verify,
)
from tests.integration import test_ledger, test_nothing_hidden

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
LISTED = dict(re.findall(r"^\| (\w+): `\S+` \| (.+) \|$", README, flags=re.MULTILINE))
SOURCES = {
    "kills": test_kills,
    "canary": test_canary,
    "leases": test_leases,
    "roster": test_roster,
    "maintenance": test_maintenance,
    "hung": test_hung_connection,
    "verify": test_verify,
    "hidden": test_nothing_hidden,
    "failover": test_ledger,
}


@pytest.mark.parametrize(
    ("proof", "sabotages"),
    [
        ("faults", fault_sabotages.SABOTAGES),
        ("input", input_sabotages.SABOTAGES),
        ("states", states_sabotages.SABOTAGES),
    ],
)
def test_named_sabotages_are_listed(proof: str, sabotages: dict[str, object]) -> None:
    assert LISTED[proof].split("; ") == list(sabotages)


def test_sabotages_of_cuts_are_listed() -> None:
    assert set(re.findall(r"`(\w+)`", LISTED["cuts"])) == {one[0].__name__ for one in test_cuts.SABOTAGES}


@pytest.mark.parametrize("proof", SOURCES)
def test_sabotages_of_other_tests_exist(proof: str) -> None:
    named = re.findall(r"`(\w+)`", LISTED[proof])
    assert named
    assert all(hasattr(SOURCES[proof], name) for name in named)
