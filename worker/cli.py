"""The command line. Everything heavy is imported inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from worker import __version__
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, Interrupted, RunLocked, SettingsError, WrongInstance
from worker.process import run_command, run_job
from worker.settings import KNOWN, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from worker.jobs.mirror import RunResult
    from worker.jobs.plan import Selection
    from worker.settings import Settings

AT_LEAST_ONE = click.IntRange(1)


class _WithSettings(click.Group):
    """A group whose help ends with the settings and the exit codes."""

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write both as definition lists."""
        with formatter.section("Settings (environment; secrets also as …_FILE)"):
            formatter.write_dl([(k.variable, k.meaning + (f" [{k.default}]" if k.default else "")) for k in KNOWN])
        with formatter.section("Exit codes"):
            formatter.write_dl(
                [
                    ("0", "everything asked for was accepted"),
                    ("1", "closed with searches not accepted, or differences found"),
                    ("2", "usage, settings or credentials"),
                    ("3, 4", "source, warehouse could not be reached or stayed away"),
                    ("75", "another run holds the lock"),
                    ("130", "SIGINT or SIGTERM; the run can be resumed"),
                ]
            )


@click.group(cls=_WithSettings, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="message-mirror")
def cli() -> None:
    """Mirror patient–practitioner messages from Canvas Medical into PostgreSQL."""


@cli.command()
@click.option(
    "--quick", is_flag=True, help="First pages only; walk just the searches that look changed. Marks no deletions."
)
@click.option("--accept-deletions", is_flag=True, help="Believe the source, however many messages are gone there.")
def sync(quick: bool, accept_deletions: bool) -> None:
    """Mirror everything once: the nightly job.

    Takes up a sync that died less than MIRROR_RESUME_WITHIN ago.
    """
    from worker import display
    from worker.jobs.sync import sync as job

    settings = _settings()
    with display.progress_report() as report:
        result = run_job(job(settings, report, quick=quick, accept_deletions=accept_deletions))
    _finish(result)


@cli.command()
@click.option("--practitioner", "practitioners", multiple=True, metavar="ID", help="Only this practitioner's messages.")
@click.option(
    "--patients-file",
    type=click.File("r", encoding="utf-8-sig", errors="replace"),
    metavar="FILE|-",
    help="Only these patients': ids, one a line.",
)
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this message.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Land only what was sent on this day or later.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Land only what was sent before this day.")
@click.option("--dry-run", is_flag=True, help="Land nothing; estimate the requests.")
@click.option("--restart", is_flag=True, help="Begin anew although the same backfill was interrupted.")
def backfill(
    practitioners: tuple[str, ...],
    patients_file: Any,
    ids: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    dry_run: bool,
    restart: bool,
) -> None:
    """Mirror on demand; without a selection everything, by practitioner and then by patient.

    Days are the clinic's (MIRROR_TIME_ZONE). Messages without a sent time always land. An interrupted backfill is taken
    up again by the same command, however late.
    """
    from worker import display
    from worker.jobs import backfill as job

    settings = _settings()
    selection = _selection(settings, practitioners, patients_file, ids, since and since.date(), until and until.date())
    with display.progress_report() as report:
        if dry_run:
            estimate = run_job(job.estimate(settings, selection, report))
        else:
            result = run_job(job.backfill(settings, selection, report, restart=restart))
    if dry_run:
        display.show_estimate(estimate)
    else:
        named = len({*selection.practitioners}) + len({*selection.patients}) + len({*selection.ids})
        _finish(
            result, f"{result.in_vain:,} of the {named:,} named: no message at the source" if result.in_vain else ""
        )


def _selection(
    settings: Settings,
    practitioners: tuple[str, ...],
    patients_file: Any,
    ids: tuple[str, ...],
    since: date | None,
    until: date | None,
) -> Selection:
    from worker.jobs.backfill import day_start, parse_ids
    from worker.jobs.plan import Selection

    if since is not None and until is not None and since >= until:
        raise SettingsError("--since must be before --until.", next="Name a later day with --until: it is left out.")
    patients = parse_ids(patients_file, "Patient", "the patients file") if patients_file is not None else ()
    if patients_file is not None and not patients:
        raise SettingsError("The patients file names nobody.", next="Write one patient's id a line into it.")
    return Selection(
        practitioners=parse_ids(practitioners, "Practitioner", "--practitioner"),
        patients=patients,
        ids=parse_ids(ids, "Communication", "--id"),
        since=day_start(since, settings.time_zone) if since else None,
        until=day_start(until, settings.time_zone) if until else None,
        by_patient=not (practitioners or patients or ids),
    )


@cli.command()
@click.option("--no-sync", is_flag=True, help="Compare as it is, without a sync before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, with the ids that differ.")
def verify(no_sync: bool, as_json: bool) -> None:
    """Prove the mirror against the patients' searches. Repairs nothing.

    What is found is known to the next sync, and rows that were altered to the next replay.
    """
    from worker import display
    from worker.jobs.verify import verify as job

    settings = _settings()
    with display.progress_report() as report:
        result = run_job(job(settings, report, sync_first=not no_sync))
    if as_json:
        click.echo(json.dumps(display.verification_as_json(result), indent=2))
    else:
        display.show_verification(result)
    sys.exit(EXIT_OK if result.clean else EXIT_INCOMPLETE)


@cli.command()
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only what was sent on this day or later.")
def replay(since: datetime | None) -> None:
    """Derive rows anew from stored resources, and try quarantine again. Asks nothing of the source.

    For a new version's rules, another MIRROR_CUTOFF, and rows that verify found altered. Makes no new versions of
    messages.
    """
    from worker import display
    from worker.jobs.backfill import day_start
    from worker.jobs.replay import replay as job

    settings = _settings()
    start = day_start(since.date(), settings.time_zone) if since else None
    with display.progress_report() as report:
        result = run_job(job(settings, report, since=start))
    display.show_replay(result)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def status(as_json: bool) -> None:
    """Show the last runs, freshness, counts, quarantine and sizes."""
    from worker import display
    from worker.jobs.status import status as job

    found = run_job(job(_settings()))
    if as_json:
        click.echo(json.dumps(found, default=str, indent=2))
    else:
        display.show_status(found)


@cli.command()
def check() -> None:
    """Look at settings, source and warehouse: a line each, ✓ or what to do.

    Ends with the exit code that a job would end with at the first ✗.
    """
    from worker import display
    from worker.jobs.check import check as job
    from worker.service.cron import trigger

    async def show() -> int:
        exit_code = EXIT_OK
        async for line in job(settings, trigger):
            display.show_check(line)
            exit_code = exit_code or line.exit_code
        return exit_code

    settings = _settings()
    sys.exit(run_job(show()))


@cli.command()
@click.option("--print", "print_only", is_flag=True, help="Print the SQL that would be run, and run nothing.")
def migrate(print_only: bool) -> None:
    """Bring the schema up to date. Jobs do so themselves."""
    from worker.jobs.upgrade import outstanding_sql, upgrade

    settings = _settings()
    if print_only:
        script = run_job(outstanding_sql(settings))
        click.echo(script or f"-- Schema {settings.schema} is up to date: nothing to apply.\n", nl=False)
        return
    applied = run_job(upgrade(settings))
    for name in applied:
        click.echo(f"applied sql/{name}.sql")
    click.echo(f"Schema {settings.schema} is up to date.")


@cli.command()
def serve() -> None:
    """Run the sync on schedule (MIRROR_NIGHTLY) until told to stop."""
    from worker.service.schedule import serve as service

    with contextlib.suppress(Interrupted):
        run_job(service(_settings()))


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0 picks a free one.")
@click.option(
    "--edition",
    type=click.Choice(["seed", "current"]),
    default="seed",
    show_default=True,
    help="Which edition of Canvas's documentation to follow.",
)
@click.option("--messages", type=AT_LEAST_ONE, default=20_000, show_default=True, help="Messages of the clinic.")
@click.option("--practitioners", type=AT_LEAST_ONE, default=60, show_default=True, help="Its practitioners.")
@click.option("--patients", type=AT_LEAST_ONE, default=2_000, show_default=True, help="Its patients.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same clinic.")
@click.option(
    "--latency-ms", type=click.IntRange(0), default=0, show_default=True, help="Time that each request takes at least."
)
@click.option("--faults", type=int, metavar="SEED", help="Spoil one request in twenty, or let messages move meanwhile.")
def sandbox(
    port: int,
    edition: Any,
    messages: int,
    practitioners: int,
    patients: int,
    seed: int,
    latency_ms: int,
    faults: int | None,
) -> None:
    """Run a local Communication server with a made-up clinic."""
    from worker.sandbox.faults import Faults, SeededScript
    from worker.sandbox.population import make_clinic
    from worker.sandbox.server import SandboxServer, serve_forever
    from worker.telemetry import configure_logging

    configure_logging()
    clinic = make_clinic(messages=messages, practitioners=practitioners, patients=patients, seed=seed, edition=edition)
    spoilers = () if faults is None else (Faults(clinic, SeededScript(faults), faults).middleware,)
    run_job(serve_forever(SandboxServer(clinic, latency_ms=latency_ms, middlewares=spoilers), port))


@cli.group()
def warehouse() -> None:
    """Start, stop and enter the embedded PostgreSQL in WAREHOUSE_DIR."""


@warehouse.command("start")
def warehouse_start() -> None:
    """Start it, if it does not run, and print its URL."""
    click.echo(_embedded().start())


@warehouse.command("stop")
def warehouse_stop() -> None:
    """Stop it. Its data stay."""
    click.echo("stopped" if _embedded().stop() else "was not running")


@warehouse.command("dsn")
def warehouse_dsn() -> None:
    """Print a URL without secrets, for asyncpg, libpq and SQLAlchemy; starts the server if need be."""
    click.echo(_embedded().start())


@warehouse.command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def warehouse_psql(arguments: tuple[str, ...]) -> None:
    """Start psql on it, with any ARGUMENTS of psql's."""
    server = _embedded()
    server.start()
    server.psql(arguments)


@warehouse.command("remove")
@click.confirmation_option(prompt="Delete the embedded server's data for good?", help="Do not ask.")
def warehouse_remove() -> None:
    """Stop it and delete its data, for good."""
    _embedded().remove()
    click.echo("removed")


def _embedded() -> Any:
    from worker.load.embedded import EmbeddedServer

    # The server can be stopped whatever is wrong with the source's settings.
    settings = _settings({name: value for name, value in os.environ.items() if name.startswith("WAREHOUSE_")})
    if settings.dsn is not None:
        raise SettingsError(
            "WAREHOUSE_DSN is set: this is about the embedded server, which is not in use.",
            next="Unset WAREHOUSE_DSN (and WAREHOUSE_DSN_FILE) for this command, or use psql with that URL.",
        )
    return EmbeddedServer(settings.warehouse_dir)


@cli.command()
@click.option("--messages", type=AT_LEAST_ONE, default=20_000, show_default=True, help="Size of the made-up clinic.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same clinic.")
def demo(messages: int, seed: int) -> None:
    """Mirror a made-up clinic into an embedded PostgreSQL of its own, .warehouse-demo, and query it.

    No setting of the environment is looked at: your warehouse is left alone.
    """
    from worker import display
    from worker.demo import DIRECTORY
    from worker.demo import demo as job
    from worker.telemetry import configure_logging, withhold_unhandled

    configure_logging()
    withhold_unhandled()
    program = Path(sys.argv[0]) if not sys.argv[0].endswith("__main__.py") else Path("python -m worker")
    unset = "".join(f"{name}= " for name in ("WAREHOUSE_DSN", "WAREHOUSE_DSN_FILE") if os.environ.get(name))
    here = f"{unset}WAREHOUSE_DIR={DIRECTORY} {_shown(program)} warehouse"
    anew = f"`{here} remove`, then the same command again"
    with display.progress_report() as report:
        try:
            result, rows = run_job(job(messages, seed, report))
        except WrongInstance:
            what = f"{DIRECTORY} holds another made-up clinic, of other --messages, --seed or version."
            raise WrongInstance(what, safe="Nothing was changed.", next=f"For this one: {anew}.") from None
        except RunLocked as locked:
            again = "Wait for that demo to end, then the same command again."
            raise RunLocked(locked.what, safe=locked.safe, next=again) from None
    display.show_run(result, again=anew, believe=anew)
    display.show_rows("canvas.live_message by direction", rows)
    click.echo(f"Go on in psql:\n  {here} psql")
    sys.exit(EXIT_OK if result.outcome == "complete" else EXIT_INCOMPLETE)


def _shown(program: Path) -> str:
    here = Path.cwd()
    return str(program.relative_to(here)) if program.is_absolute() and program.is_relative_to(here) else str(program)


def _settings(environ: Mapping[str, str] | None = None) -> Settings:
    from worker.telemetry import configure_logging, withhold_unhandled

    settings = read_settings(environ)
    configure_logging(settings.log)
    withhold_unhandled()
    return settings


def _finish(result: RunResult, in_vain: str = "") -> NoReturn:
    from worker import display

    display.show_run(result, in_vain=in_vain)
    sys.exit(EXIT_OK if result.outcome == "complete" else EXIT_INCOMPLETE)


def main() -> NoReturn:
    """Run the command line, and exit with the codes that its help text lists."""
    run_command(lambda: cli.main(standalone_mode=False))
