"""A lane of kills: a small world whose source changes before each run, and what must hold in it after each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.faults.consistency import look, torn
from tests.faults.processes import sessions
from tests.integration.mirroring import environment, mirror_settings
from worker.jobs.run.derive import rules_of

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.faults.consistency import View
    from tests.faults.processes import Doorbell
    from tests.faults.proof import ProofResult
    from tests.faults.worlds import World
    from worker.sandbox.population import Clinic
    from worker.transform.message import Rules

CUTOFFS = ("2022-10-27T00:00:00Z", "2024-02-03T00:00:00Z")


class Lane:
    """A world in which process after process is killed; `sabotage` is code that runs in each of them first."""

    def __init__(
        self,
        world: World,
        bell: Doorbell,
        chance: random.Random,
        result: ProofResult,
        server_url: str,
        sabotage: str = "",
    ) -> None:
        self.world = world
        self.bell = bell
        self.chance = chance
        self.result = result
        self.server_url = server_url
        self.sabotage = sabotage
        self.lasts: dict[str, tuple[int, float]] = {}
        """How many requests and seconds an undisturbed process of a job took."""
        self.is_mirrored = False
        self._cutoff = 0
        self._served = {one["id"] for one in world.clinic}
        self._versions = dict.fromkeys(self._served, 1)

    @property
    def variables(self) -> dict[str, str]:
        """The settings of the commands."""
        return environment(self.world.server.url, self.world.dsn, MIRROR_CUTOFF=CUTOFFS[self._cutoff])

    def violated(self, where: str, found: Sequence[str]) -> None:
        """Write down what was violated; a few of each kind tell enough."""
        self.result.violations.extend(f"{where}: {one}" for one in found[:5])

    def change(self, job: str) -> None:
        """Give the job something to write: other rules for a replay, for others messages edited, removed and sent.

        Before anything is mirrored, all of it is something to write.
        """
        if not self.is_mirrored:
            return
        if job == "replay":
            self._cutoff = 1 - self._cutoff
            return
        clinic = self.world.clinic
        chosen = self.chance.sample(sorted(self._served), 8)
        for message_id in chosen[:5]:
            edited = {"payload": [{"contentString": f"Edited: {self.chance.random()}."}]}
            clinic.put({**resource_of(clinic, message_id), **edited})
            self._versions[message_id] += 1
        for message_id in chosen[5:7]:
            clinic.remove(message_id)
            self._versions[message_id] += 1
            self._served.remove(message_id)
        new_id = clinic.new_id()
        clinic.put({**resource_of(clinic, chosen[7]), "id": new_id})
        self._versions[new_id] = 1
        self._served.add(new_id)

    async def unsound(self) -> list[str]:
        """Say where the tables are torn, or lack what an accepted search was shown; nowhere while there are none."""
        if not await self._is_migrated():
            return []
        view = await look(self.world.database)
        return torn(view, rules_of_lane()) + unlanded(view, self.world.clinic)

    async def wrong(self) -> list[str]:
        """Say where the mirror, or its history, is not what the source was."""
        view = await look(self.world.database)
        counts = {message_id: len(chain) for message_id, chain in view.chains().items()}
        history = [
            f"{message_id}: {counts.get(message_id, 0)} versions instead of {count}"
            for message_id, count in self._versions.items()
            if counts.get(message_id) != count
        ]
        return torn(view, rules_of_lane()) + await self.world.differences() + history

    async def open_run(self, *jobs: str) -> int | None:
        """Return the number of the open run of these jobs, if there is one."""
        if not await self._is_migrated():
            return None
        number: int | None = await self.world.database.fetchval(
            "SELECT max(id) FROM canvas_ops.run WHERE closed_at IS NULL AND job = ANY ($1)", list(jobs)
        )
        return number

    async def sessions_are_gone(self) -> bool:
        """Tell whether the warehouse has noticed that no worker is connected to it any more."""
        return not await sessions(self.world.database)

    async def _is_migrated(self) -> bool:
        # Views come last, in the same transaction as the tables.
        return await self.world.database.fetchval("SELECT to_regclass('canvas.freshness')") is not None


def rules_of_lane() -> list[Rules]:
    """Return the rules that rows of a lane may have been derived by."""
    return [rules_of(mirror_settings("http://127.0.0.1:1", "x", MIRROR_CUTOFF=cutoff)) for cutoff in CUTOFFS]


def resource_of(clinic: Clinic, message_id: str) -> dict[str, object]:
    """Return a message that is served."""
    number = clinic.number_of(message_id)
    assert number is not None
    return clinic.resource(number)


def unlanded(view: View, clinic: Clinic) -> list[str]:
    """Say which messages an accepted search of the open run was shown that are not in the tables."""
    open_runs = {run["id"] for run in view.runs if run["closed_at"] is None}
    accepted = [
        (search["parameter"], search["value"])
        for search in view.searches
        if search["run_id"] in open_runs and search["status"] == "accepted" and search["resource"] == "Communication"
    ]
    found = []
    for parameter, value in accepted:
        for number in clinic.search(parameter, value):
            resource = clinic.resource(number)
            row = view.messages.get(resource["id"])
            stored = view.resources.get((row["id"], row["_content_hash"])) if row else None
            if stored is None or json.loads(stored) != resource:
                found.append(f"{resource['id']}: its search is accepted, but it is not landed")
    return found
