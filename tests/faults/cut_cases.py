"""A clinic at four moments, and the jobs that lead from one to the next."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.faults.cut_jobs import Job, MigrateJob
from tests.faults.cut_messages import MessagesJob, ReplayJob, TakeoverJob
from tests.faults.worlds import entry_bytes
from tests.integration.mirroring import mirror_settings
from worker.extract.content_hash import hash_entry
from worker.extract.entry import read_entry
from worker.jobs import backfill, replay, sync
from worker.jobs.run import mirror, plan
from worker.jobs.run.derive import rules_of
from worker.records import Communication
from worker.sandbox.population import Clinic, Resource, make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from worker.settings import Settings

NEW_RULES: dict[str, str] = {}
OLD_RULES = {"MIRROR_CUTOFF": "2021-04-01T00:00:00Z"}
NOT_A_DATE = "the day before yesterday"
HELD = """
INSERT INTO canvas_ops.quarantine (
    raw_hash, message_id, reason, entry, parameter, value, _run_id, _first_seen_at, _last_run_id, _last_seen_at
)
VALUES ($1, $2, 'no_id', $3, 'sender', 'Practitioner/x', 1, now(), 1, now())
"""


@asynccontextmanager
async def open_jobs(seed: int) -> AsyncIterator[list[Job]]:
    """Serve the clinic at its four moments, and give every job that is cut."""
    moments = _Moments(seed)
    async with AsyncExitStack() as stack:
        first, then, now, thinned = [
            (await stack.enter_async_context(SandboxServer(clinic))).url
            for clinic in (moments.first, moments.then, moments.now, moments.thinned)
        ]
        yield [
            MessagesJob(
                name="sync, first load",
                source_url=first,
                earlier=(),
                work=sync.sync,
                served=list(moments.first),
                learnt=usable(moments.first),
                shown=_shown(moments.first),
                rules=BOTH_RULES,
            ),
            MessagesJob(
                name="sync, changes",
                source_url=now,
                earlier=(partial(_sync, first), partial(_sync, then)),
                work=sync.sync,
                served=list(moments.now),
                learnt=usable(moments.now),
                shown=_shown(moments.now),
                rules=BOTH_RULES,
            ),
            MessagesJob(
                name="backfill",
                source_url=now,
                earlier=(),
                work=partial(_backfill, moments.people),
                served=list(moments.now),
                learnt=usable(moments.now),
                shown=_shown(moments.now),
                rules=BOTH_RULES,
            ),
            MessagesJob(
                name="tombstoning",
                source_url=thinned,
                earlier=(partial(_sync, first),),
                work=sync.sync,
                served=list(moments.thinned),
                learnt=(),
                gone=moments.thinned_out,
                shown=_shown(moments.thinned),
                rules=BOTH_RULES,
            ),
            ReplayJob(
                name="replay",
                source_url=now,
                earlier=(partial(_sync, first), partial(_sync, now), partial(_hold_back, moments.held_back)),
                work=replay.replay,
                served=[*moments.now, moments.held_back[-1]],
                learnt=usable(moments.held_back),
                rules=BOTH_RULES,
                variables=OLD_RULES,
            ),
            MigrateJob(now),
            TakeoverJob(
                name="takeover",
                source_url=first,
                earlier=(),
                work=sync.sync,
                served=list(moments.first),
                learnt=usable(moments.first),
                shown=_shown(moments.first),
                rules=BOTH_RULES,
                step=5,
                recovers=False,
            ),
        ]


class _Moments:
    """The clinic `first`; `then`, one message gone and one edited; `now`, after all kinds of change; and `thinned`.

    `people` are asked about by a backfill: their searches show everything, and some of it twice. `held_back` are three
    versions of one message that an older worker could not read.
    """

    def __init__(self, seed: int) -> None:
        ids = [resource["id"] for resource in make_clinic(messages=8, practitioners=1, patients=2, seed=seed)]
        random.Random(seed).shuffle(ids)  # noqa: S311 - which messages change decides nothing secret
        edited, edited_again, returning, breaking, repaired, *others = ids
        self.thinned_out = frozenset(others[:2])
        self.first = self._clinic(seed, (repaired, {"sent": NOT_A_DATE}))
        self.then = self._clinic(seed, (repaired, {"sent": NOT_A_DATE}), (edited_again, _payloads("Once.")))
        self.then.remove(returning)
        self.now = self._clinic(
            seed,
            (edited, _payloads("Now in two", "parts.")),
            (edited_again, _payloads("Twice.")),
            (breaking, {"sent": NOT_A_DATE}),
            (others[2], {"id": "new-one"}),
        )
        self.people = plan.Selection(tuple(self.now.practitioners), tuple(self.now.patients)[:1])
        self.thinned = self._clinic(seed, (repaired, {"sent": NOT_A_DATE}))
        for message_id in self.thinned_out:
            self.thinned.remove(message_id)
        example = next(resource for resource in self.first if resource["id"] == edited)
        self.held_back = [{**example, "id": "held-back", **_payloads(text)} for text in ("One.", "Two.", "Three.")]

    @staticmethod
    def _clinic(seed: int, *changes: tuple[str, dict[str, Any]]) -> Clinic:
        clinic = make_clinic(messages=8, practitioners=1, patients=2, seed=seed)
        several = next(resource for resource in clinic if resource["recipient"][0]["type"] == "Patient")
        everybody = [{"reference": patient.reference, "type": "Patient"} for patient in clinic.patients.values()]
        clinic.put({**several, "id": "to-several", "recipient": everybody, **_payloads("In two", "parts.")})
        for message_id, change in changes:
            number = clinic.number_of(message_id)
            assert number is not None
            clinic.put({**clinic.resource(number), **change})
        return clinic


def _payloads(*texts: str) -> dict[str, Any]:
    return {"payload": [{"contentString": text} for text in texts]}


def usable(resources: Iterable[Resource]) -> list[Communication]:
    """Return what of these can be rows."""
    entries = [entry_bytes(resource) for resource in resources]
    records = [read_entry(entry, hash_entry(entry)) for entry in entries]
    return [record for record in records if isinstance(record, Communication)]


def _shown(clinic: Clinic) -> dict[tuple[str, str], frozenset[str]]:
    people = [person.reference for group in (clinic.practitioners, clinic.patients) for person in group.values()]
    return {
        (parameter, person): frozenset(clinic.resource(number)["id"] for number in clinic.search(parameter, person))
        for person in people
        for parameter in ("recipient", "sender")
    }


async def _sync(source_url: str, dsn: str) -> None:
    result = await sync.sync(mirror_settings(source_url, dsn))
    assert result.outcome is plan.Outcome.COMPLETE


async def _backfill(people: plan.Selection, settings: Settings) -> mirror.RunResult:
    return await backfill.backfill(settings, people)


async def _hold_back(resources: Sequence[Resource], dsn: str) -> None:
    database = await asyncpg.connect(dsn)
    try:
        for resource in resources:
            entry = entry_bytes(resource)
            await database.execute(HELD, hash_entry(entry), resource["id"], entry)
    finally:
        await database.close()


BOTH_RULES = tuple(
    rules_of(mirror_settings("http://127.0.0.1:1", "postgresql:///nowhere", **variables))
    for variables in (NEW_RULES, OLD_RULES)
)
