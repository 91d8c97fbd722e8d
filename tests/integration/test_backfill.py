"""`backfill`: what each selection asks for and lands, what a dry run says, and how an interrupted one goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.integration.mirroring import (
    PATIENT,
    PRACTITIONER,
    Watch,
    environment,
    ids_of,
    message,
    mirror_settings,
    run_command,
)
from worker.errors import SourceAway
from worker.jobs.backfill import backfill, estimate
from worker.jobs.run.plan import Outcome, Selection
from worker.jobs.sync import sync
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from worker.sandbox.population import Clinic, Resource

EVERYTHING = Selection(by_patient=True)


def small_clinic(messages: int = 120) -> Clinic:
    return make_clinic(messages=messages, practitioners=4, patients=10, seed=5)


def of(clinic: Clinic, *references: str) -> set[str]:
    """Return the ids of the messages that somebody of these sent or received."""
    return {one["id"] for one in clinic if {one["sender"]["reference"], recipient(one)} & set(references)}


def recipient(resource: Resource) -> str:
    reference: str = resource["recipient"][0]["reference"]
    return reference


async def test_named_practitioners_only(database_dsn: str, database: asyncpg.Connection) -> None:
    """`--practitioner` asks for theirs both ways and for nobody else's, with or without the type before the id."""
    clinic = small_clinic()
    first, second, *_ = clinic.practitioners
    watch = Watch()
    async with SandboxServer(clinic, middlewares=[watch.middleware()]) as server:
        named = ("--practitioner", first, "--practitioner", f"Practitioner/{second}")
        done = await run_command(environment(server.url, database_dsn), "backfill", *named)
    assert done.code == 0, done.err
    assert await ids_of(database) == of(clinic, f"Practitioner/{first}", f"Practitioner/{second}")
    assert {value for _, value in watch.searches} == {f"Practitioner/{first}", f"Practitioner/{second}"}
    run = await database.fetchrow("SELECT job, scope, outcome, searches FROM canvas_ops.run")
    assert tuple(run) == ("backfill", "selected", "complete", 4)
    assert await database.fetchval("SELECT last_complete_run_id FROM canvas.freshness") is None


@pytest.mark.parametrize("from_stdin", [True, False])
async def test_patients_from_a_file(
    database_dsn: str, database: asyncpg.Connection, tmp_path: Path, *, from_stdin: bool
) -> None:
    """`--patients-file` takes a file or `-`, with comments and empty lines, and lands theirs alone."""
    clinic = small_clinic()
    first, second, *_ = clinic.patients
    listed = f"# two people\n{first}\n\nPatient/{second}  # the second\n{first}\n"
    file = tmp_path / "patients"
    file.write_text(listed)
    async with SandboxServer(clinic) as server:
        done = await run_command(
            environment(server.url, database_dsn),
            *("backfill", "--patients-file", "-" if from_stdin else str(file)),
            stdin=listed if from_stdin else "",
        )
    assert done.code == 0, done.err
    assert await ids_of(database) == of(clinic, f"Patient/{first}", f"Patient/{second}")
    assert first not in done.out + done.err


async def test_named_messages_only(database_dsn: str, database: asyncpg.Connection) -> None:
    """`--id` lands the named messages; one that does not exist is no failure, its search was accepted as empty."""
    clinic = small_clinic()
    wanted = [one["id"] for one in clinic][3:5]
    async with SandboxServer(clinic) as server:
        result = await backfill(mirror_settings(server.url, database_dsn), Selection(ids=(*wanted, "no-such-message")))
    assert (result.outcome, result.sums.accepted, result.sums.new) == (Outcome.COMPLETE, 3, 2)
    assert await ids_of(database) == set(wanted)


async def test_selections_add_up(database_dsn: str, database: asyncpg.Connection) -> None:
    """A practitioner, a patient and a message named together land all of theirs, each message once."""
    clinic = small_clinic()
    practitioner, patient = list(clinic.practitioners)[1], list(clinic.patients)[2]
    other = next(one["id"] for one in clinic if one["id"] not in of(clinic, f"Practitioner/{practitioner}"))
    selection = Selection(practitioners=(practitioner,), patients=(patient,), ids=(other,))
    async with SandboxServer(clinic) as server:
        result = await backfill(mirror_settings(server.url, database_dsn), selection)
    expected = of(clinic, f"Practitioner/{practitioner}", f"Patient/{patient}") | {other}
    assert await ids_of(database) == expected
    assert result.sums.new == len(expected)


async def test_everything_by_practitioner_then_by_patient(database_dsn: str, database: asyncpg.Connection) -> None:
    """Without a selection everybody is searched for, practitioners first, and no message is landed twice.

    A practitioner who is met in the patients' searches is searched for at the end.
    """
    clinic = small_clinic()
    clinic.put(message("of-a-stranger", sender={"reference": f"Practitioner/{'f' * 32}"}))
    async with SandboxServer(clinic) as server:
        done = await run_command(environment(server.url, database_dsn), "backfill")
    assert done.code == 0, done.err
    assert await ids_of(database) == {one["id"] for one in clinic}
    searched = await database.fetch(
        "SELECT split_part(value, '/', 1) AS kind, count(*) AS searches, min(place) AS first, max(place) AS last,"
        " sum(new) AS new FROM canvas_ops.search WHERE resource = 'Communication' GROUP BY 1 ORDER BY 1 DESC"
    )
    practitioners, patients = map(dict, searched)
    assert (practitioners["kind"], practitioners["searches"]) == ("Practitioner", 2 * (4 + 1))
    assert (patients["kind"], patients["searches"]) == ("Patient", 2 * 10)
    assert practitioners["last"] < patients["first"]
    assert practitioners["new"] + patients["new"] == 121
    run = await database.fetchrow("SELECT scope, outcome, new, changed, entries FROM canvas_ops.run")
    assert tuple(run) == ("full", "complete", 121, 0, 120 + 121 + 1)


DAY = {
    # 10 March 2024 has 23 hours in Los Angeles: it begins at 08:00 UTC and the next one at 07:00 UTC.
    "just-before": "2024-03-10T07:59:59.999999+00:00",
    "first-instant": "2024-03-10T08:00:00+00:00",
    "elsewhere-the-next-day": "2024-03-11T15:59:59+09:00",
    "last-instant": "2024-03-11T06:59:59.999999Z",
    "next-day": "2024-03-11T07:00:00Z",
    "without-sent": None,
}


async def test_a_day_of_the_clinic(database_dsn: str, database: asyncpg.Connection) -> None:
    """`--since` and `--until` are days of the clinic's zone; messages without `sent` land; the rest is left alone."""
    clinic = small_clinic(messages=1)
    for message_id, sent in DAY.items():
        resource = message(message_id, sent=sent)
        clinic.put(resource if sent else {key: value for key, value in resource.items() if key != "sent"})
    async with SandboxServer(clinic) as server:
        variables = environment(server.url, database_dsn, MIRROR_TIME_ZONE="America/Los_Angeles")
        window = ("--since", "2024-03-10", "--until", "2024-03-11")
        done = await run_command(variables, "backfill", "--practitioner", PRACTITIONER, *window)
        assert done.code == 0, done.err
        landed = {"first-instant", "elsewhere-the-next-day", "last-instant", "without-sent"}
        assert await ids_of(database) == landed
        # A fingerprint would make the next sync skip what this run read and left out.
        assert await database.fetchval("SELECT count(*) FROM canvas_ops.fingerprint") == 0
        result = await sync(mirror_settings(server.url, database_dsn))
    assert result.sums.new == 3
    assert await ids_of(database) == {one["id"] for one in clinic}


async def test_everything_of_a_window_is_no_full_run(database_dsn: str, database: asyncpg.Connection) -> None:
    """A window over everybody leaves freshness alone: it has not read what the mirror may lack outside it."""
    clinic = small_clinic()
    async with SandboxServer(clinic) as server:
        done = await run_command(environment(server.url, database_dsn), "backfill", "--since", "2024-01-01")
    assert done.code == 0, done.err
    assert await database.fetchval("SELECT scope FROM canvas_ops.run") == "selected"
    assert await database.fetchval("SELECT last_complete_run_id FROM canvas.freshness") is None
    landed = {one["id"] for one in clinic if one.get("sent", "9999") >= "2024"}
    assert await ids_of(database) == landed
    assert 0 < len(landed) < 120


@pytest.mark.parametrize(
    ("arguments", "patients", "said"),
    [
        (("--since", "2024-03-11", "--until", "2024-03-11"), "", "--since must be before --until"),
        (("--since", "11.3.2024"), "", "--since"),
        (("--patients-file", "-"), "# nobody\n", "names nobody"),
        (("--patients-file", "-"), f"{PATIENT}\nMade Up Person\n", "line 2"),
        (("--practitioner", "a b"), "", "--practitioner"),
        (("--patient", PATIENT), "", "--patient"),
    ],
)
async def test_wrong_selections_are_refused(
    arguments: tuple[str, ...], patients: str, said: str, database_dsn: str, database: asyncpg.Connection
) -> None:
    """A selection that cannot be meant exits 2 before anything is read, and repeats no line of the file."""
    done = await run_command(environment("http://127.0.0.1:9", database_dsn), "backfill", *arguments, stdin=patients)
    assert done.code == 2
    assert said in done.err
    assert "Made Up" not in done.err
    assert await database.fetchval("SELECT to_regclass('canvas.message')") is None


async def test_a_dry_run_lands_nothing_and_knows_the_requests(database_dsn: str, database: asyncpg.Connection) -> None:
    """The estimate is within the token and the first probe of what the same backfill asks for; no schema is made."""
    clinic = make_clinic(messages=900, practitioners=4, patients=10, seed=5)
    async with SandboxServer(clinic) as server:
        variables = environment(server.url, database_dsn)
        done = await run_command(variables, "backfill", "--dry-run")
        assert done.code == 0, done.err
        assert await database.fetchval("SELECT to_regnamespace('canvas')") is None
        settings = mirror_settings(server.url, database_dsn)
        estimated = await estimate(settings, EVERYTHING)
        before = server.requests
        result = await backfill(settings, EVERYTHING)
        asked = server.requests - before
    assert f"{estimated.searches:,}" in done.out
    assert f"about {estimated.requests:,}" in done.out
    assert (estimated.searches, estimated.messages, estimated.unknown) == (2 * 14, 2 * 900, 0)
    assert result.requests == asked
    assert abs(estimated.requests - asked) <= 2
    assert (result.outcome, result.sums.new) == (Outcome.COMPLETE, 900)


async def test_a_dry_run_of_a_selection(database_dsn: str) -> None:
    """The estimate of a selection counts its searches and messages alone."""
    clinic = small_clinic()
    async with SandboxServer(clinic) as server:
        estimated = await estimate(mirror_settings(server.url, database_dsn), Selection(patients=(PATIENT,)))
    assert (estimated.searches, estimated.messages) == (2, len(of(clinic, f"Patient/{PATIENT}")))
    assert estimated.requests == 2


async def test_an_interrupted_backfill_goes_on(database_dsn: str, database: asyncpg.Connection) -> None:
    """The same command resumes the same run, and asks for no search again that was finished."""
    watch = Watch(answers=5)
    clinic = small_clinic()
    async with SandboxServer(clinic, middlewares=[watch.middleware()]) as server:
        variables = environment(server.url, database_dsn, MIRROR_CONCURRENCY="1")
        died = await run_command(variables, "backfill")
        assert died.code == 3
        assert "What was landed is kept" in died.err
        assert "--restart" not in died.err
        (run,) = await database.fetch("SELECT id, outcome, closed_at FROM canvas_ops.run")
        assert (run["outcome"], run["closed_at"]) == (None, None)
        landed = await ids_of(database)
        assert landed
        assert len(landed) < 120
        finished = watch.searches[:]
        assert len(finished) == 5

        # Another selection neither resumes nor closes it.
        watch.answers = None
        other = await run_command(variables, "backfill", "--practitioner", PRACTITIONER)
        assert other.code == 0, other.err
        assert await database.fetchval("SELECT outcome FROM canvas_ops.run WHERE id = $1", run["id"]) is None

        watch.searches.clear()
        done = await run_command(variables, "backfill")
    assert done.code == 0, done.err
    assert "resumed" in done.out
    assert not set(finished) & set(watch.searches)
    assert len(watch.searches) == len(set(watch.searches)) == 2 * 14 - 5
    assert await database.fetchval("SELECT outcome FROM canvas_ops.run WHERE id = $1", run["id"]) == "complete"
    assert await ids_of(database) == {one["id"] for one in clinic}
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.run") == 2


async def test_restart_begins_anew(database_dsn: str, database: asyncpg.Connection) -> None:
    """`--restart` closes the interrupted run as such and asks for everything again."""
    watch = Watch(answers=5)
    async with SandboxServer(small_clinic(), middlewares=[watch.middleware()]) as server:
        settings = replace(mirror_settings(server.url, database_dsn), concurrency=1)
        with pytest.raises(SourceAway):
            await backfill(settings, EVERYTHING)
        watch.searches.clear()
        died = await run_command(environment(server.url, database_dsn, MIRROR_CONCURRENCY="1"), "backfill", "--restart")
        assert died.code == 3
        assert "the same command again" in died.err
        assert died.err.endswith(" Without --restart it resumes what was begun.\n")
        watch.answers = None
        watch.searches.clear()
        done = await run_command(environment(server.url, database_dsn), "backfill", "--restart")
    assert done.code == 0, done.err
    assert "resumed" not in done.out
    assert len(watch.searches) == 2 * 14
    runs = await database.fetch("SELECT outcome FROM canvas_ops.run ORDER BY id")
    assert [run["outcome"] for run in runs] == ["interrupted", "interrupted", "complete"]


async def test_a_search_that_died_midway_starts_at_its_first_page(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """Offsets do not survive: of a half-walked search all pages are read again, and its rows land once."""
    clinic = make_clinic(messages=400, practitioners=1, patients=5, seed=5)
    received = sum(recipient(one).startswith("Practitioner/") for one in clinic)
    assert received > 100
    watch = Watch(answers=1)
    selection = Selection(practitioners=(PRACTITIONER,))
    async with SandboxServer(clinic, middlewares=[watch.middleware()]) as server:
        settings = replace(mirror_settings(server.url, database_dsn), concurrency=1)
        with pytest.raises(SourceAway):
            await backfill(settings, selection)
        (search,) = await database.fetch("SELECT * FROM canvas_ops.search WHERE status = 'walking'")
        assert (search["walks"], search["finished_at"]) == (1, None)
        watch.answers = None
        result = await backfill(settings, selection)
    assert (result.resumed, result.outcome) == (True, Outcome.COMPLETE)
    assert result.sums.new == len(await ids_of(database)) == 400


@pytest.mark.parametrize("mirrored_before", [False, True])
async def test_what_lies_outside_of_the_days_asked_for_is_counted_as_such(
    database_dsn: str, *, mirrored_before: bool
) -> None:
    """Whether the mirror has it or not: every entry is new, changed, unchanged or outside."""
    clinic, since = make_clinic(messages=120, practitioners=4, patients=10), datetime(2023, 1, 1, tzinfo=UTC)
    before = sum(1 for one in clinic if "sent" in one and datetime.fromisoformat(one["sent"]) < since)
    async with SandboxServer(clinic) as server:
        settings = mirror_settings(server.url, database_dsn)
        if mirrored_before:
            await sync(settings)
        result = await backfill(settings, Selection(by_patient=True, since=since))
    within = 2 * 120 - 2 * before  # by its practitioner and by its patient
    new = 0 if mirrored_before else within // 2
    assert 0 < before < 120
    assert (result.sums.entries, result.sums.outside) == (240, 2 * before)
    assert (result.sums.new, result.sums.unchanged) == (new, within - new)
