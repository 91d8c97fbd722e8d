"""The state machine in its small form, the steps that once showed defects, and the mistakes that it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults import states
from tests.faults.proof import ProofResult
from tests.faults.states_sabotages import SABOTAGES, SCRIPTS, Script

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.proof  # by `make test-proofs`


async def test_nothing_contradicts_what_must_hold(warehouse_url: str) -> None:
    """Whatever happens to the source and to the jobs, what must hold does."""
    result = await states.run("small", 0, warehouse_url)
    assert result.violations == []
    assert result.counts["steps"] >= states.SMALL_STEPS
    assert result.counts["mirror compared"] > 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_what_once_went_wrong_holds(script: Callable[[Any], None], database_dsn: str) -> None:
    """These steps contradict nothing; some of them once did."""
    with states.staged(database_dsn, ProofResult("states", 0)) as stage, Script(stage) as state:
        script(state)


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_mistake_is_found(name: str, database_dsn: str) -> None:
    """With one decision of the mirror taken wrongly, the machine says what does not hold."""
    sabotage, script = SABOTAGES[name]
    with (
        states.staged(database_dsn, ProofResult("states", 0)) as stage,
        sabotage(),
        Script(stage) as state,
        pytest.raises(AssertionError),
    ):
        script(state)
