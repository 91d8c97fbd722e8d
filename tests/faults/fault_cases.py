"""What befalls which run, for the proof of faults: single faults, lasting ones, pairs; and the clinic they befall."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import cycle, product
from random import Random
from typing import TYPE_CHECKING, Literal

from tests.faults.script import FAULTS, Script
from worker.sandbox.population import make_clinic

if TYPE_CHECKING:
    from tests.faults.proof import Size
    from worker.sandbox.population import Clinic, Resource

PRACTITIONERS = 5
MESSAGES = 100
PAGE_MAX = 8
PAIRS = {"small": 8, "full": 2000}
SMALL_STRIDE = 59
LASTING_EVERY = 10

Start = Literal["empty", "behind"]
STARTS: tuple[Start, ...] = ("empty", "behind")


@dataclass(frozen=True, slots=True)
class Case:
    """A script of faults, and whether it befalls the first run or one over a mirror that is a little behind."""

    start: Start
    script: Script
    seed: int

    @property
    def is_pair(self) -> bool:
        """Whether two faults befall it."""
        return sum(map(len, self.script.at.values())) == 2

    @property
    def kinds(self) -> set[str]:
        """What befalls it."""
        return {kind for kinds in self.script.at.values() for kind in kinds} | {kind for _, kind in self.script.lasting}

    @property
    def sort(self) -> str:
        """What it is counted as."""
        return "lasting faults" if self.script.lasting else "pairs of faults" if self.is_pair else "single faults"

    def __str__(self) -> str:
        befalls = [f"{'+'.join(kinds)}@{number}" for number, kinds in sorted(self.script.at.items())]
        befalls += [f"{kind}@{number}…" for number, kind in self.script.lasting]
        return f"{self.start} {' '.join(befalls)} seed {self.seed}"


def cases_for(size: Size, seed: int, requests: dict[Start, int]) -> list[Case]:
    """Return the cases: every kind at every request, every kind from some request on, and pairs drawn by `seed`.

    Single faults befall a run over a mirror that is behind: there is something to lose, and something new to miss.
    """
    numbers = range(1, requests["behind"] + 1)
    singles = [Case("behind", Script({number: (kind,)}), seed) for kind, number in product(FAULTS, numbers)]
    lasting = [
        Case(start, Script(lasting=((number, kind),)), seed)
        for (kind, number), start in zip(product(FAULTS, numbers[::LASTING_EVERY]), cycle(STARTS), strict=False)
    ]
    chance = Random(seed)  # noqa: S311 - repeatable, guards nothing
    pairs = [_pair(chance, seed + number, requests) for number in range(PAIRS[size])]
    if size == "small":
        singles, lasting = singles[seed % SMALL_STRIDE :: SMALL_STRIDE], lasting[seed % 47 :: 47]
    return [*singles, *lasting, *pairs]


def _pair(chance: Random, seed: int, requests: dict[Start, int]) -> Case:
    start = chance.choice(STARTS)
    # A fault makes a run longer: the second may befall a request that the run alone does not have.
    first, second = (chance.randint(1, requests[start] * 5 // 4) for _ in range(2))
    one, other = (chance.choice(tuple(FAULTS)) for _ in range(2))
    return Case(start, Script({first: (one, other)} if first == second else {first: (one,), second: (other,)}), seed)


def clinic_now() -> Clinic:
    """Return a clinic whose searches have up to four pages of `PAGE_MAX`, its messages ready-made."""
    return deepcopy(_ready_made())


@cache
def _ready_made() -> Clinic:
    clinic = make_clinic(messages=MESSAGES, practitioners=PRACTITIONERS, patients=12, seed=3)
    for resource in list(clinic):
        clinic.put(resource)
    return clinic


def clinic_earlier() -> Clinic:
    """Return the same before somebody was hired, a third of the messages written, three edited and three removed."""
    clinic = clinic_now()
    hired = list(clinic.practitioners.values())[-1]
    del clinic.practitioners[hired.id]
    for number, resource in enumerate(list(clinic)):
        if number % 3 == 0 or hired.reference in {resource["sender"]["reference"], _recipient(resource)}:
            clinic.remove(resource["id"])
        elif number % 30 == 1:
            clinic.put({**resource, "payload": [{"contentString": "Not yet edited."}]})
        elif number % 30 == 2:
            clinic.put({**resource, "id": f"removed-since-{number}"})
    return clinic


def _recipient(resource: Resource) -> str:
    return str(resource["recipient"][0]["reference"])
