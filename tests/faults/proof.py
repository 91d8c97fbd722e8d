"""What a proof has come to: how much it tried, and whatever contradicted what it proves."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Literal, TextIO

import structlog

Size = Literal["small", "full"]


@dataclass(frozen=True, slots=True)
class ProofResult:
    """Counts of what was tried, in the order they are to be printed, and one line for each violation."""

    part: str
    seed: int
    counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def count(self, what: str, by: int = 1) -> None:
        """Add to a count."""
        self.counts[what] = self.counts.get(what, 0) + by

    def add(self, other: ProofResult) -> None:
        """Take in another share of the same proof."""
        for what, number in other.counts.items():
            self.count(what, number)
        self.violations.extend(other.violations)


def print_result(result: ProofResult, seconds: float, out: TextIO) -> None:
    """Write seed, counts and violations, the latter last: `violations: 0` is what one looks for."""
    out.write(f"proof {result.part}: seed {result.seed}, {seconds:.0f} s\n")
    out.writelines(f"  {what}: {number:,}\n" for what, number in result.counts.items())
    out.writelines(f"  ✗ {violation}\n" for violation in result.violations)
    out.write(f"violations: {len(result.violations)}\n")


def be_quiet() -> None:
    """Log nothing: each of thousands of faults would have its line."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
