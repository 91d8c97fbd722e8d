"""The command line.

Everything heavy is imported inside the commands, after the settings are read, so that `--help` and a wrong setting get
an answer at once.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

import click

from worker import __version__
from worker.cli import local
from worker.cli.process import AGAIN, RESUMES, command_settings, end_shown, run_command, run_job
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, Interrupted, SettingsError
from worker.setting_values import duration
from worker.settings import KNOWN

if TYPE_CHECKING:
    from datetime import datetime

    from worker.jobs.run.mirror import RunResult


DAY = click.DateTime(["%Y-%m-%d"])
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


_EXIT_CODES = (
    ("0", "everything asked for was accepted"),
    ("1", "closed with searches not accepted, or differences found"),
    ("2", "wrong usage, settings or credentials; something other than FHIR at the source's URL"),
    ("3, 4", "the source (3) or the warehouse (4) could not be reached, or stayed away"),
    ("75", "another run holds the lock"),
    ("130", "SIGINT, SIGTERM or SIGHUP; a sync or backfill can be resumed"),
)


class _WithSettings(local.Group):
    """A group whose help ends with the settings and the exit codes."""

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write both as definition lists."""
        with formatter.section("Settings (environment; secrets also as …_FILE)"):
            formatter.write_dl([(k.variable, k.meaning + (f" [{k.default}]" if k.default else "")) for k in KNOWN])
        with formatter.section("Exit codes"):
            formatter.write_dl(_EXIT_CODES)


@click.group(cls=_WithSettings, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="message-mirror")
def cli() -> None:
    """Mirror patient–practitioner messages from Canvas Medical into PostgreSQL."""


@cli.command()
@click.option(
    "--quick", is_flag=True, help="First pages only; walk only the searches that look changed. Marks no deletions."
)
@click.option("--accept-deletions", is_flag=True, help="Believe the source, however many messages are gone there.")
@click.option("--accept-roster", is_flag=True, help="Believe the list of practitioners, however few it names.")
@_JSON
def sync(quick: bool, accept_deletions: bool, accept_roster: bool, as_json: bool) -> None:
    """Mirror everything once: the nightly job.

    Resumes a sync that was interrupted less than MIRROR_RESUME_WITHIN ago.
    """
    settings = command_settings()
    if quick and accept_deletions:
        raise SettingsError(
            "--accept-deletions does not go with --quick, which marks no deletions.", next="Leave one of them out."
        )
    from worker.cli.progress_bar import progress_report
    from worker.jobs.sync import sync as job

    with progress_report() as report:
        work = job(settings, report, quick=quick, accept_deletions=accept_deletions, accept_roster=accept_roster)
        result = run_job(work, again=RESUMES)
    _finish(result, as_json)


@cli.command()
@click.option(
    "--practitioner",
    "practitioners",
    multiple=True,
    metavar="ID",
    help="Only this practitioner's messages. May be repeated.",
)
@click.option(
    "--patients-file",
    type=click.File("r", encoding="utf-8-sig", errors="replace"),
    metavar="FILE|-",
    help="Only messages of these patients: one id a line.",
)
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this message. May be repeated.")
@click.option("--since", type=DAY, metavar="DATE", help="Land only what was sent on this day or later.")
@click.option("--until", type=DAY, metavar="DATE", help="Land only what was sent before this day.")
@click.option("--dry-run", is_flag=True, help="Land nothing; estimate the requests.")
@click.option("--restart", is_flag=True, help="Start over instead of resuming an interrupted backfill.")
@_JSON
def backfill(
    practitioners: tuple[str, ...],
    patients_file: Any,
    ids: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    dry_run: bool,
    restart: bool,
    as_json: bool,
) -> None:
    """Mirror on demand; without a selection everything, by practitioner and then by patient.

    DATE is a day such as 2024-01-31 in the clinic's time zone (MIRROR_TIME_ZONE). Messages without a sent time always
    land. The same command resumes an interrupted backfill, however late.
    """
    settings = command_settings()
    from worker.cli.selection import selection_of

    days = (since and since.date(), until and until.date())
    selection = selection_of(settings.time_zone, practitioners, patients_file, ids, *days)
    from worker.cli import json_output, terminal
    from worker.cli.progress_bar import progress_report
    from worker.jobs import backfill as job

    with progress_report() as report:
        if dry_run:
            estimate = run_job(job.estimate(settings, selection, report))
        else:
            again = f"{AGAIN} {job.WITHOUT_RESTART}" if restart else RESUMES
            result = run_job(job.backfill(settings, selection, report, restart=restart), again=again)
    if dry_run:
        if as_json:
            click.echo(json_output.document(asdict(estimate)))
        else:
            terminal.show_estimate(estimate)
        end_shown()
    named = len({*selection.practitioners}) + len({*selection.patients}) + len({*selection.ids})
    _finish(
        result,
        as_json,
        f"{result.in_vain:,} of the {named:,} named ids have no message at the source" if result.in_vain else "",
    )


@cli.command()
@click.option("--no-sync", is_flag=True, help="Compare the mirror as it is, without a sync first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, with the ids that differ.")
def verify(no_sync: bool, as_json: bool) -> None:
    """Prove the mirror against the patients' searches. Repairs nothing.

    The next sync asks for the messages that differ. The next replay restores rows that somebody altered.
    """
    settings = command_settings()
    from worker.cli import json_output, terminal
    from worker.cli.progress_bar import progress_report
    from worker.jobs.verify.job import verify as job

    again = AGAIN if no_sync else "The same command resumes its sync, and reads the rest again."
    with progress_report() as report:
        result = run_job(job(settings, report, sync_first=not no_sync), again=again)
    if as_json:
        click.echo(json_output.document(json_output.verification_as_json(result)))
    else:
        terminal.show_verification(result)
    sys.exit(EXIT_OK if result.clean else EXIT_INCOMPLETE)


@cli.command()
@click.option("--since", type=DAY, metavar="DATE", help="Only what was sent on this day or later.")
def replay(since: datetime | None) -> None:
    """Derive rows again from stored resources, and try quarantine again. Asks nothing of the source.

    DATE is a day such as 2024-01-31 in the clinic's time zone (MIRROR_TIME_ZONE).

    Use it after an upgrade that changed the rules, with another MIRROR_CUTOFF, and for rows that verify found altered.
    It makes no new versions of messages.
    """
    settings = command_settings()
    from worker.cli import terminal
    from worker.cli.progress_bar import progress_report
    from worker.cli.selection import day_start
    from worker.jobs.replay import replay as job

    start = day_start(since.date(), settings.time_zone) if since else None
    with progress_report() as report:
        result = run_job(job(settings, report, since=start))
    terminal.show_replay(result)


@cli.command()
@_JSON
@click.option(
    "--max-age",
    metavar="DURATION",
    help="Exit with 1 if the last complete full run began longer ago than this (for example 26h), or there was none.",
)
def status(as_json: bool, max_age: str | None) -> None:
    """Show the present run, the last runs, freshness, counts, quarantine and sizes."""
    settings = command_settings()
    oldest = duration("--max-age", max_age) if max_age is not None else None
    from worker.cli import json_output, terminal
    from worker.jobs.status import refuse_stale
    from worker.jobs.status import status as job

    found = run_job(job(settings))
    if as_json:
        click.echo(json_output.document(found))
    else:
        terminal.show_status(found)
    if oldest is not None:
        refuse_stale(found["freshness"], oldest)
    end_shown()


@cli.command()
def check() -> None:
    """Check settings, source and warehouse: a line each, ✓ or what to do.

    Exits with the code that a job would exit with at the first ✗.
    """
    settings = command_settings()
    from worker.cli import terminal
    from worker.jobs.check import check as job
    from worker.service.cron import trigger

    async def show() -> int:
        exit_code = EXIT_OK
        async for line in job(settings, trigger):
            terminal.show_check(line)
            exit_code = exit_code or line.exit_code
        return exit_code

    sys.exit(run_job(show()))


@cli.command()
@click.option("--print", "print_only", is_flag=True, help="Print the SQL that would be run, and run nothing.")
def migrate(print_only: bool) -> None:
    """Bring the schema up to date. Jobs do this themselves."""
    settings = command_settings()
    from worker.jobs.migrate import outstanding_sql, upgrade

    if print_only:
        script = run_job(outstanding_sql(settings))
        click.echo(script or f"-- Schema {settings.schema} is up to date: nothing to apply.\n", nl=False)
        end_shown()
    applied = run_job(upgrade(settings))
    for name in applied:
        click.echo(f"applied sql/{name}.sql")
    click.echo(f"Schema {settings.schema} is up to date.")


@cli.command()
def serve() -> None:
    """Run the sync every night (MIRROR_NIGHTLY) until it is stopped.

    It makes up at once for a night in which no full sync began.
    """
    settings = command_settings()
    from worker.service.schedule import serve as service

    with contextlib.suppress(Interrupted):
        run_job(service(settings))


for command in (local.quarantine, local.sandbox, local.warehouse, local.demo):
    cli.add_command(command)


def _finish(result: RunResult, as_json: bool, in_vain: str = "") -> NoReturn:
    from worker.cli import json_output, terminal

    if as_json:
        click.echo(json_output.document(json_output.run_as_json(result)))
    else:
        terminal.show_run(result, in_vain=in_vain)
    sys.exit(EXIT_OK if result.outcome == "complete" else EXIT_INCOMPLETE)


def main() -> NoReturn:
    """Run the command line, and exit with the codes that its help text lists."""
    run_command(lambda: cli.main(standalone_mode=False))
