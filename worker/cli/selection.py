"""What options and files of the command line select: people, messages, days. Pure, except that it reads a file."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from worker.errors import SettingsError
from worker.jobs.run.plan import Selection
from worker.records import FHIR_ID

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

_DASHED = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_HEADS = {"id", "patient", "patient_id", "patient-id", "patientid"}


def selection_of(
    zone: ZoneInfo,
    practitioners: tuple[str, ...],
    patients_file: Iterable[str] | None,
    ids: tuple[str, ...],
    since: date | None,
    until: date | None,
) -> Selection:
    """Return what a backfill's options ask for: everything, by practitioner and by patient, if they name nobody.

    Days are those of `zone`. Raises SettingsError for something that is not an id or a day, for a file that names
    nobody, and for days in the wrong order.
    """
    if since is not None and until is not None and since >= until:
        raise SettingsError(
            "--since must be before --until.", next="Name a later day with --until. That day itself is left out."
        )
    named = parse_option(practitioners, "Practitioner", "--practitioner")
    messages = parse_option(ids, "Communication", "--id")
    patients = parse_ids(patients_file, "Patient", "the patients file") if patients_file is not None else ()
    if patients_file is not None and not patients:
        raise SettingsError("The patients file names nobody.", next="Write patients' ids into it, one a line.")
    return Selection(
        practitioners=named,
        patients=patients,
        ids=messages,
        since=day_start(since, zone) if since else None,
        until=day_start(until, zone) if until else None,
        by_patient=not (named or patients or messages),
    )


def parse_ids(lines: Iterable[str], kind: str, source: str) -> tuple[str, ...]:
    """Return the ids in `lines`: one a line, with or without `Patient/` (or another `kind`); `#` begins a comment.

    The dashes of a UUID are removed from people's ids, because Canvas writes only messages' ids with them. Raises
    SettingsError for any other line, including the head of a column. It names `source` and the line's number, and
    never quotes the line.
    """
    ids = []
    for number, line in enumerate(lines, start=1):
        word = line.partition("#")[0].strip().removeprefix(f"{kind}/")
        if word and (not FHIR_ID.fullmatch(word) or word.lower() in _HEADS):
            raise SettingsError(
                f"{source}, line {number}: not the id of a {kind}.",
                safe="Nothing was read or written.",
                next="One id a line: letters, digits, '-' and '.', at most 64 of them.",
            )
        if word:
            ids.append(word.replace("-", "") if kind != "Communication" and _DASHED.fullmatch(word) else word)
    return tuple(dict.fromkeys(ids))


def parse_option(values: Iterable[str], kind: str, option: str) -> tuple[str, ...]:
    """Return the ids that were given to an option, one a value, by the rules of `parse_ids`.

    Also raises SettingsError for a value that names nobody, because a variable of the shell that is not set must not
    mean everybody.
    """
    values = tuple(values)
    if any("#" in value or not value.strip().removeprefix(f"{kind}/") for value in values):
        raise SettingsError(
            f"{option} names {'no message' if kind == 'Communication' else 'nobody'}.",
            next="Give it an id. If the id comes from a variable of your shell, check that it is set.",
        )
    return parse_ids(values, kind, option)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, at which a day of the clinic begins. Raises SettingsError for a day out of range."""
    try:
        return datetime.combine(day, time(), zone).astimezone(UTC)
    except OverflowError:
        raise SettingsError(
            "The day is too far away to be an instant in UTC.", next="Name a day of this century, for example."
        ) from None
