"""Bad input: malformed entries and Bundles, served over HTTP. Never a crash, never a silent drop.

Of a Bundle whose brackets balance, whatever is in its entries, the search is accepted and every entry is a row, lies in
quarantine word for word with a reason, or is no match (`search.mode` include or outcome). Of any other answer the
search is either accepted and holds as many entries as are accounted for, or it is reported with a reason. Repeating the
run adds nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.faults.input_bodies import SOUND_ENTRIES, bundle_of, strange_bodies
from tests.faults.input_entries import communication, entry_of, hand_made, hypothesis_made
from tests.faults.poison import POISON, failing, poisoned, stages
from tests.faults.proof import ProofResult
from tests.faults.worlds import open_world
from worker.jobs.run.plan import Outcome
from worker.records import Reason
from worker.sandbox.population import make_clinic
from worker.telemetry import where

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiohttp.typedefs import Handler, Middleware

    from tests.faults.proof import Size
    from tests.faults.worlds import World

ENTRIES = {"small": 700, "full": 10_000}
SPOILT_BODIES = {"small": 40, "full": 600}
MADE_AT_ONCE = 400
PAGE = 100
TOO_LARGE_BYTES = 33 * 1024 * 1024
EMPTY = b'{"resourceType": "Bundle", "type": "searchset", "total": 0}'


@dataclass
class Crafted:
    """What is served as received by each practitioner: entries on pages of a hundred, or one strange body."""

    entries: dict[str, list[bytes]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)

    def middleware(self) -> Middleware:
        """Answer searches before the sandbox does; it is left the tokens."""

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path == "/Practitioner":
                return web.Response(body=self._roster() if request.query.get("active") == "true" else EMPTY)
            if request.path == "/Communication":
                return web.Response(body=self._found(request))
            return await handler(request)

        return answer

    def _roster(self) -> bytes:
        everyone = [{"resourceType": "Practitioner", "id": one} for one in (*self.entries, *self.bodies)]
        return bundle_of([json.dumps({"resource": one}).encode() for one in everyone], total=len(everyone))

    def _found(self, request: web.Request) -> bytes:
        practitioner = request.query.get("recipient", "").removeprefix("Practitioner/")
        if practitioner in self.bodies:
            return self.bodies[practitioner]
        entries = self.entries.get(practitioner, [])
        offset = int(request.query.get("_offset", "0"))
        more = offset + PAGE < len(entries)
        following = f"/Communication?recipient=Practitioner/{practitioner}&_offset={offset + PAGE}" if more else None
        total = sum(not _is_aside(entry) for entry in entries)
        return bundle_of(entries[offset : offset + PAGE], total=total, following=following)


async def run(size: Size, seed: int, server_url: str) -> ProofResult:
    """Prove it with hand-made entries, hypothesis-made ones up to the size, and strange bodies."""
    crafted = craft(seed, entries=ENTRIES[size], spoilt_bodies=SPOILT_BODIES[size], too_large=size == "full")
    result = await prove(server_url, crafted, ProofResult("input", seed))
    of_a_record = [name for name in sorted(stages()) if name.startswith(("extract.entry.", "transform."))]
    for stage in of_a_record if size == "full" else of_a_record[seed % 12 :: 12]:
        await _prove_poisoned(server_url, stage, result)
    return result


async def _prove_poisoned(server_url: str, stage: str, result: ProofResult) -> None:
    """Prove it of entries on which our own code fails, in one stage of reading and deriving them."""
    crafted, practitioner = Crafted(), "poisoned"
    sound = [entry_of(communication(f"sound-{number}", practitioner)) for number in range(SOUND_ENTRIES)]
    recipient = [{"reference": f"Practitioner/{practitioner}"}]
    spoilt = [poisoned(f"poison-{POISON}-{number}", recipient=recipient) for number in range(SOUND_ENTRIES)]
    crafted.entries[practitioner] = [*sound, *map(entry_of, spoilt)]
    with failing(stage):
        found = await prove(server_url, crafted, ProofResult("input", 0))
    result.count("stages that failed on poisoned entries")
    result.violations.extend(f"{stage} fails: {one}" for one in found.violations)


def craft(seed: int, *, entries: int, spoilt_bodies: int, too_large: bool = False) -> Crafted:
    """Make what is to be served, the same for the same arguments: at least what was written by hand."""
    crafted = Crafted()
    names = _names()
    used: set[str] = set()
    practitioner = next(names)
    crafted.entries[practitioner] = _distinct(hand_made("hand", practitioner), used)
    if too_large:
        practitioner = next(names)
        crafted.entries[practitioner] = [_too_large(practitioner)]
    while (left := entries - sum(map(len, crafted.entries.values()))) > 0:
        practitioner = next(names)
        made = hypothesis_made(min(left, MADE_AT_ONCE), seed + len(crafted.entries), practitioner)
        crafted.entries[practitioner] = _distinct(made, used)
    crafted.bodies = strange_bodies(names, Random(seed), spoilt_bodies)  # noqa: S311 - repeatable, guards nothing
    return crafted


async def prove(server_url: str, crafted: Crafted, result: ProofResult, *, until_violated: bool = False) -> ProofResult:
    """Serve it, mirror it twice, and account for every entry after either run."""
    clinic = make_clinic(messages=1, practitioners=1, patients=1)
    async with open_world(server_url, clinic, middlewares=[crafted.middleware()], MIRROR_CONCURRENCY="4") as world:
        for again in (False, True):
            try:
                ended = await world.sync()
            except Exception as error:  # noqa: BLE001 - any error at all is a crash here: the source answers
                result.violations.append(f"the run crashed: {where(error)}")
                return result
            accounted = ProofResult("input", 0)
            refused = await _account(world, crafted, accounted)
            result.violations.extend(accounted.violations)
            if until_violated and result.violations:
                return result
            if not again:
                result.counts.update(accounted.counts)
            if refused and ended.outcome is Outcome.COMPLETE:
                result.violations.append("a run with searches that were not accepted is called complete")
            if again and (ended.sums.new, ended.sums.changed, ended.sums.quarantined) != (0, 0, 0):
                result.violations.append(f"repeating the run is not without effect: {ended.sums}")
        replayed = await world.replay()
        quarantined = await world.database.fetchval("SELECT count(*) FROM canvas_ops.quarantine")
        if (replayed.released, replayed.still_quarantined) != (0, quarantined):
            result.violations.append(f"replay released {replayed.released} entries that are as unusable as before")
    return result


async def _account(world: World, crafted: Crafted, result: ProofResult) -> int:
    """Account for every entry; return how many searches were not accepted."""
    database = world.database
    searches = {
        row["value"].removeprefix("Practitioner/"): row
        for row in await database.fetch("SELECT * FROM canvas_ops.search WHERE parameter = 'recipient' ORDER BY id")
    }
    resources = {
        row["id"]: bytes(row["resource"])
        for row in await database.fetch(
            "SELECT m.id, c.resource FROM canvas.message AS m JOIN canvas_ops.communication AS c"
            " ON c.id = m.id AND c._content_hash = m._content_hash WHERE m._deleted_at IS NULL"
        )
    }
    quarantine = {
        bytes(row["entry"]): row["reason"]
        for row in await database.fetch("SELECT entry, reason FROM canvas_ops.quarantine WHERE resolved_at IS NULL")
    }
    for practitioner, entries in crafted.entries.items():
        if searches[practitioner]["status"] != "accepted":
            result.violations.append(f"bad entries failed their search: {searches[practitioner]['reason']}")
        for entry in entries:
            _account_for(entry, resources, quarantine, result)
    result.violations.extend(f"no such reason: {one}" for one in {*quarantine.values()} - {*map(str, Reason)})
    held = await _held(world)
    for practitioner, body in crafted.bodies.items():
        search = searches[practitioner]
        accepted = search["status"] == "accepted"
        result.count("strange answers accepted" if accepted else "strange answers refused")
        if accepted and not (held.get(practitioner, 0) == search["entries"] == _entries_in(body)):
            found = f"{search['entries']} entries, holds {held.get(practitioner, 0)}"
            result.violations.append(f"accepted with {found}: {body[:200]!r}")
        if not accepted and not search["reason"]:
            result.violations.append("a search was refused without a reason")
    return sum(search["status"] != "accepted" for search in searches.values())


def _account_for(entry: bytes, resources: dict[str, bytes], quarantine: dict[bytes, str], result: ProofResult) -> None:
    result.count("entries")
    if _is_aside(entry):
        result.count("entries that are no matches")
    elif entry in quarantine:
        result.count("entries in quarantine")
    elif resources.get(str(_id_of(entry)), b"?") in entry:
        result.count("entries that are rows")
    else:
        result.violations.append(f"neither row nor in quarantine: {entry[:200]!r}")


async def _held(world: World) -> dict[str, int]:
    """Return how many rows and quarantined entries there are of each practitioner's received messages.

    A message whose spoilt recipient names nobody contradicts no search and is a row; its id tells whose it was.
    """
    rows = await world.database.fetch(
        "SELECT practitioner, sum(entries)::int AS entries FROM ("
        " SELECT coalesce(recipient_id, regexp_replace(id, '-[0-9]+$', '')) AS practitioner, count(*) AS entries"
        " FROM canvas.message GROUP BY 1 UNION ALL"
        " SELECT replace(value, 'Practitioner/', ''), count(*) FROM canvas_ops.quarantine GROUP BY 1) AS held"
        " GROUP BY 1"
    )
    return {row["practitioner"]: row["entries"] for row in rows}


def _entries_in(body: bytes) -> int | None:
    """Return how many entries an answer has, None if it must not be accepted.

    Of one that this reader, too, cannot read whole: as many as the sound body had that it was made from.
    """
    bundle = _parsed(body)
    if bundle is None:
        return SOUND_ENTRIES
    entries = _field(bundle, "entry")
    is_list = isinstance(entries, list)
    return len(entries) if is_list and _field(bundle, "resourceType") == "Bundle" else None


def _names() -> Iterator[str]:
    return (f"practitioner{number}" for number in count())


def _too_large(practitioner: str) -> bytes:
    resource = communication("too-large", practitioner) | {"payload": [{"contentString": "x" * TOO_LARGE_BYTES}]}
    return json.dumps({"resource": resource}).encode()


def _distinct(entries: Iterable[bytes], used: set[str]) -> list[bytes]:
    """Leave out entries whose id another one has: of two versions of one message only the last is kept, rightly."""
    distinct = []
    for entry in entries:
        key = str(_id_of(entry))
        if key not in used or key == "None":
            distinct.append(entry)
        used.add(key)
    return list(dict.fromkeys(distinct))


def _id_of(entry: bytes) -> Any:
    resource = _field(_parsed(entry), "resource")
    return _field(resource, "id")


@cache
def _is_aside(entry: bytes) -> bool:
    return _field(_field(_parsed(entry), "search"), "mode") in ("include", "outcome")


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _parsed(entry: bytes) -> Any:
    try:
        return json.loads(entry)
    except (ValueError, RecursionError):
        return None
