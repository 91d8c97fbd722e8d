"""What to type next, by the reason why something was not accepted. Pure.

The end of a run, `verify`, `status` and the log of `serve` all use this one table. `deploy/runbook/incomplete-run.md`
explains the same reasons at length. A test compares the two with each other and with the code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ACCEPT_ROSTER = "message-mirror sync --accept-roster"
ACCEPT_DELETIONS = "message-mirror sync --accept-deletions"

# The gravest first: what needs a person comes before what another run repairs. `{again}` stands for the command that
# asks for the same again, `{believe}` for the one that accepts deletions. `http_4xx` stands for every number of that
# hundred that has no row of its own.
TABLE: tuple[tuple[str, str], ...] = (
    (
        "http_401 http_403",
        "give this client the scopes for Communication, Practitioner and Patient, message-mirror check, then {again}.",
    ),
    (
        "foreign_next",
        "message-mirror check names where the links lead. If that is yours, set CANVAS_FHIR_URL to it, then {again}.",
    ),
    (
        "bad_link next_loops too_many_pages page_too_large no_total filter_ignored unusable_entry",
        "message-mirror check, then ask Canvas, with the reason and the hour. Another run will not change it.",
    ),
    ("http_4xx", "ask Canvas why it refuses the search, with the reason and the hour, then {again}."),
    (
        "roster_empty roster_shrunk",
        "message-mirror check, and look at the client's scope. If there are really so few practitioners: {roster}.",
    ),
    (
        "quarantine",
        "message-mirror status counts them by reason. If known: message-mirror quarantine accept REASON.",
    ),
    (
        "too_many too_many_missing source_unreliable",
        "look at the source. If the messages are meant to be gone: {believe}.",
    ),
    ("unknown_host proxy tls certificate not_http", "message-mirror check, then correct what it names, then {again}."),
    (
        "timeout connection truncated http_408 http_425 http_429 http_5xx",
        "{again}. If it stays: set or lower MIRROR_RATE and MIRROR_CONCURRENCY, and look at the network.",
    ),
    (
        "redirect not_json not_a_bundle operation_outcome not_fhir_1xx not_fhir_2xx not_fhir_4xx",
        "{again} in a while. If it stays, ask Canvas, or whoever runs the gateway.",
    ),
    (
        "hides_messages",
        "{again} at a quieter hour. If it stays: message-mirror backfill, which also reads the patients' searches.",
    ),
    (
        "defect",
        "report the log's line `our own code failed`, which quotes no patient. With a corrected version: {again}.",
    ),
    ("results_not_whole too_few_entries too_many_entries", "{again} at a quieter hour. If it stays, ask Canvas."),
    (
        "total_changed pages_changed passes_differ totals_differ",
        "{again} at a quieter hour, or wait for the next night.",
    ),
    ("not_listed", "nothing. To find new messages of theirs by patient: message-mirror backfill."),
    ("sync_not_complete", "message-mirror sync, then message-mirror verify."),
    ("differences_found", "message-mirror verify says what differs, and what to type."),
    ("differences_not_answered sightings_lost", "message-mirror verify."),
)
_ROW_OF = {word: number for number, (words, _) in enumerate(TABLE) for word in words.split()}


def advise(reasons: Iterable[str], again: str, believe: str = ACCEPT_DELETIONS) -> dict[str, str]:
    """Return what to do: sentence → the reasons that it is for, the gravest first.

    `again` is the command that asks for the same again, `believe` the one that accepts deletions. For a reason without
    a row the sentence is `again`. The reasons of a row are joined by commas, for people.
    """
    rows: dict[int, list[str]] = {}
    for reason in dict.fromkeys(reasons):
        rows.setdefault(_row_of(reason), []).append(reason)
    sentences = [*(sentence for _, sentence in TABLE), "{again}."]
    words = {"again": again, "believe": believe, "roster": ACCEPT_ROSTER}
    return {sentences[row].format(**words): ", ".join(found) for row, found in sorted(rows.items())}


def next_steps(reasons: Iterable[str], again: str, believe: str = ACCEPT_DELETIONS) -> list[str]:
    """Return the lines that say what to type next; each names its reasons if there is more than one line."""
    advice = advise(reasons, again, believe) or {f"{again}.": ""}
    if len(advice) == 1:
        return [f"Next: {sentence}" for sentence in advice]
    return [f"Next ({found}): {sentence}" for sentence, found in advice.items()]


def again_of(job: str) -> str:
    """Return the command that asks for the same as a run of `job` did."""
    return f"message-mirror {job}{' with the same options' if job == 'backfill' else ''}"


def _row_of(reason: str) -> int:
    """Return the number of a reason's row: its own, or that of its hundred; one past the last if it has none."""
    hundred = re.sub(r"(?<=_)([1-5])[0-9]{2}$", r"\1xx", reason)
    return _ROW_OF.get(reason, _ROW_OF.get(hundred, len(TABLE)))
