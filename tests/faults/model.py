"""The source as the state machine knows it: a small clinic that changes, and when each message last did.

What a row of a message should say is in `states_rows`.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, get_args

from tests.faults.states_rows import is_spoiled
from worker.sandbox.people import Practitioner, make_patients, make_practitioners
from worker.sandbox.population import Clinic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.sandbox.messages import Resource

ChangeKind = Literal[
    "create", "edit", "delete", "restore", "revert", "dress", "spoil", "hand_over", "reorder", "hire", "retire", "leave"
]
CHANGE_KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)

PRACTITIONERS = 3
PATIENTS = 3
SPOILED_MAX = 6
"""Entries that cannot be rows: more new ones than 10 in a run would make it incomplete, and rightly."""

SENT = (
    "2021-05-04T10:00:00+00:00",
    "2022-10-27T00:30:00+00:00",
    "2024-02-29T23:59:59.250000+00:00",
    "2019-12-31T23:00:00-05:00",
    None,
)
STATUSES = ("unknown", "completed", "preparation", "in-progress", "entered-in-error", None)
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happens at the source. `which` picks the message or person, `how` a variant; both wrap round."""

    kind: ChangeKind
    which: int = 0
    how: int = 0


class ChangingClinic(Clinic):
    """A clinic without made-up messages whose searches find things in the order that `order` names."""

    def __init__(self, seed: int) -> None:
        super().__init__(
            seed=seed,
            edition="current",
            messages=0,
            practitioners=make_practitioners(seed, PRACTITIONERS),
            patients=make_patients(seed, PATIENTS),
        )
        self.order = 0

    def search(self, parameter: str, value: str) -> Sequence[int]:
        """Return the numbers of what a search finds, in an order of this moment."""
        found = super().search(parameter, value)
        return sorted(found, key=lambda number: zlib.crc32(f"{self.order}/{number}".encode()))


@dataclass(slots=True)
class Source:
    """The clinic, its past, and the instants (UTC) at which things changed.

    `moved` maps a message's id to its last change, its removal too; `back` to when it was last put back; `contents`
    counts the changes that make a new version or a new message, or end one.
    """

    seed: int
    clinic: ChangingClinic = field(init=False)
    moved: dict[str, datetime] = field(default_factory=dict)
    back: dict[str, datetime] = field(default_factory=dict)
    changed_at: datetime = NEVER
    people_changed_at: datetime = NEVER
    contents: int = 0
    _past: dict[str, list[Resource]] = field(default_factory=dict)
    _created: int = 0
    _hired: int = 0

    def __post_init__(self) -> None:
        """Open the clinic."""
        self.clinic = ChangingClinic(self.seed)

    def served(self) -> dict[str, Resource]:
        """Return what is served now, by id."""
        return {resource["id"]: resource for resource in self.clinic}

    def apply(self, change: Change) -> None:
        """Let it happen, if it can: nobody can delete from an empty clinic."""
        act = getattr(self, f"_{change.kind}")
        if act(change.which, change.how):
            self.changed_at = datetime.now(UTC)
            if change.kind in {"hire", "retire", "leave"}:
                self.people_changed_at = self.changed_at

    def _create(self, which: int, how: int) -> bool:
        self._created += 1
        number = self._created
        # Ids in no order of creation: they decide in which order rows are written.
        identity = f"{zlib.crc32(b'%d' % number):08x}-0000-4000-8000-{number:012d}"
        how, by_patient = divmod(how, 2)
        how, status = divmod(how, len(STATUSES))
        how, sent = divmod(how, len(SENT))
        people = [*self.clinic.practitioners, self._stranger(how)] if how % 3 == 2 else [*self.clinic.practitioners]
        practitioner = f"Practitioner/{people[which % len(people)] if how % 3 < 2 else people[-1]}"
        patient = f"Patient/{[*self.clinic.patients][(which // 4) % PATIENTS]}"
        sender, recipient = (patient, practitioner) if by_patient else (practitioner, patient)
        resource: Resource = {
            "resourceType": "Communication",
            "id": identity,
            "recipient": [{"reference": recipient}],
            "sender": {"reference": sender},
            "payload": _payload(number, 0, how),
        }
        resource |= {"status": STATUSES[status]} if STATUSES[status] else {}
        resource |= {"sent": SENT[sent]} if SENT[sent] else {}
        self._put(resource)
        return True

    def _stranger(self, how: int) -> str:
        """Return the id of somebody in no roster; there are two."""
        return f"{how // 3 % 2:032x}"

    def _edit(self, which: int, how: int) -> bool:
        if (before := self._pick(which)) is None:
            return False
        version = len(self._past.get(before["id"], ())) + 1
        how, what = divmod(how, 3)
        edits: tuple[Resource, ...] = (
            {"received": f"2024-03-01T00:00:00.{version % 1000:03d}000+00:00"},
            {"status": STATUSES[how % 5]},
            {"payload": _payload(0, version, how)},
        )
        self._replace(before, before | edits[what])
        return True

    def _revert(self, which: int, _how: int) -> bool:
        """Let a message say again what it said before its last change, to the byte."""
        before = self._pick(which)
        if before is None or not self._past.get(before["id"]):
            return False
        self._replace(before, self._past[before["id"]][-1])
        return True

    def _dress(self, which: int, how: int) -> bool:
        """Serve the same content in other bytes."""
        if (before := self._pick(which)) is None:
            return False
        self._replace(before, before | {"meta": {"versionId": f"{how}"}}, said_anew=False)
        return True

    def _spoil(self, which: int, how: int) -> bool:
        """Let a message have a version that cannot be a row."""
        before = self._pick(which)
        if before is None or sum(map(is_spoiled, self.clinic)) >= SPOILED_MAX:
            return False
        faults: tuple[Resource, ...] = (
            {"sent": "2024-02-30T10:00:00Z"},
            {"payload": [{"contentString": f"NUL\x00{how}"}]},
            {"sender": {"reference": "nobody"}, "recipient": before["recipient"]},
        )
        fault = faults[how % 3 if before["recipient"][0]["reference"].startswith("Practitioner/") else how % 2]
        self._replace(before, before | fault)
        return True

    def _hand_over(self, which: int, how: int) -> bool:
        """Give a message to another practitioner."""
        before = self._pick(which)
        if before is None or is_spoiled(before):
            return False
        other = {"reference": f"Practitioner/{[*self.clinic.practitioners][how % len(self.clinic.practitioners)]}"}
        to_practitioner = before["recipient"][0]["reference"].startswith("Practitioner/")
        self._replace(before, before | ({"recipient": [other]} if to_practitioner else {"sender": other}))
        return True

    def _delete(self, which: int, _how: int) -> bool:
        if (resource := self._pick(which)) is None:
            return False
        self.clinic.remove(resource["id"])
        self._note(resource["id"])
        self._past.setdefault(resource["id"], []).append(resource)
        return True

    def _restore(self, which: int, _how: int) -> bool:
        served = self.served()
        removed = [versions[-1] for identity, versions in sorted(self._past.items()) if identity not in served]
        if not removed:
            return False
        resource = removed[which % len(removed)]
        self._put(resource)
        self.back[resource["id"]] = datetime.now(UTC)
        return True

    def _reorder(self, which: int, how: int) -> bool:
        self.clinic.order = which * 1000 + how
        people = list(self.clinic.practitioners.items())
        random.Random(self.clinic.order).shuffle(people)  # noqa: S311 - repeatable, guards nothing
        self.clinic.practitioners = dict(people)
        return True

    def _hire(self, _which: int, how: int) -> bool:
        if len(self.clinic.practitioners) > PRACTITIONERS:
            return False
        self._hired += 1
        person = Practitioner(f"{0xABC0 + self._hired:032x}", "A", "B", schedulable=how % 2 == 0)
        self.clinic.practitioners[person.id] = person
        return True

    def _retire(self, which: int, how: int) -> bool:
        person = [*self.clinic.practitioners.values()][which % len(self.clinic.practitioners)]
        self.clinic.practitioners[person.id] = replace(person, active=how % 2 == 1)
        return True

    def _leave(self, which: int, _how: int) -> bool:
        """Let a practitioner vanish from the lists."""
        if len(self.clinic.practitioners) == 1:
            return False
        del self.clinic.practitioners[[*self.clinic.practitioners][which % len(self.clinic.practitioners)]]
        return True

    def _pick(self, which: int) -> Resource | None:
        served = self.served()
        return served[sorted(served)[which % len(served)]] if served else None

    def _replace(self, before: Resource, after: Resource, *, said_anew: bool = True) -> None:
        self._past.setdefault(before["id"], []).append(before)
        self._put(after, said_anew=said_anew)

    def _put(self, resource: Resource, *, said_anew: bool = True) -> None:
        self.clinic.put(resource)
        self._note(resource["id"], said_anew=said_anew)

    def _note(self, message_id: str, *, said_anew: bool = True) -> None:
        self.moved[message_id] = datetime.now(UTC)
        self.contents += said_anew


def _payload(number: int, version: int, how: int) -> list[Resource]:
    """Return a body, and now and then one in two parts."""
    words = [_words(number, version, how)]
    if (number + version + how) % 3 == 0:
        words.append(_words(number, version, how + 1))
    return [{"contentString": one} for one in words]


def _words(number: int, version: int, how: int) -> str:
    """Return a body whose words are its own: plain, marked up, or with what looks like markup."""
    words = f"Words {number}.{version}.{how}"
    return (words, f"<p>{words}</p>", f"{words} <b>bold</b>", f"{words} <2 pills")[how % 4]
