"""The commands that need no Canvas: quarantine, the sandbox, the embedded warehouse, and a demo of both.

As in `worker.cli.commands`, everything heavy is imported inside the commands.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker.cli.process import command_settings, end_shown, run_job
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, Interrupted, RunLocked, SettingsError, WrongInstance
from worker.records import Reason
from worker.settings import log_form

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.load.embedded import EmbeddedServer

Command = TypeVar("Command", bound="Callable[..., Any]")


class Group(click.Group):
    """A group whose help lists each command with its whole first sentence, however long."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands; lines that are too long are wrapped rather than cut."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.commands[name].get_short_help_str(limit=1000)) for name in self.list_commands(ctx)]
            )


def _number(
    option: str, default: int, meaning: str, least: int = 1, most: int | None = None
) -> Callable[[Command], Command]:
    """Return the decorator of an option that takes a whole number."""
    kind = click.IntRange(least, most)
    return click.option(option, type=kind, metavar="N", default=default, show_default=True, help=meaning)


_SEED = click.option("--seed", metavar="N", default=1, show_default=True, help="The same seed makes the same clinic.")
_EDITION = click.option(
    "--edition",
    type=click.Choice(["seed", "current"]),
    default="current",
    show_default=True,
    help="Which edition of Canvas's documentation to follow.",
)


@click.command()
@_number("--port", 8090, "0 picks a free one.", 0, 65535)
@_EDITION
@_number("--messages", 20_000, "Messages of the clinic.")
@_number("--practitioners", 60, "Its practitioners.")
@_number("--patients", 2_000, "Its patients.")
@_SEED
@_number("--latency-ms", 0, "The least time that a request takes.", 0)
def sandbox(port: int, edition: Any, latency_ms: int, **sizes: int) -> None:
    """Run a local Communication server with a made-up clinic."""
    from worker.sandbox.population import make_clinic
    from worker.sandbox.sandbox_server import SandboxServer, serve_forever
    from worker.telemetry import configure_logging

    configure_logging(log_form(os.environ))
    clinic = make_clinic(edition=edition, **sizes)
    with contextlib.suppress(Interrupted):
        run_job(serve_forever(SandboxServer(clinic, latency_ms=latency_ms), port))


@click.group(cls=Group)
def warehouse() -> None:
    """Start, stop and enter the embedded PostgreSQL in WAREHOUSE_DIR."""


@warehouse.command("start")
def warehouse_start() -> None:
    """Start the server if it does not run, and print its URL. Creates it the first time."""
    server, _ = _embedded()
    click.echo(server.start())


@warehouse.command("stop")
def warehouse_stop() -> None:
    """Stop the server. Its data are kept."""
    server, _ = _embedded()
    click.echo("stopped" if server.stop() else "was not running")


@warehouse.command("dsn")
def warehouse_dsn() -> None:
    """Print a URL without secrets, for asyncpg, libpq and SQLAlchemy. Starts a server that is stopped."""
    server, _ = _embedded()
    click.echo(server.start_again())
    end_shown()


@warehouse.command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def warehouse_psql(arguments: tuple[str, ...]) -> None:
    """Start psql on the server, for reading, with any ARGUMENTS of psql.

    It finds tables of WAREHOUSE_SCHEMA by their bare names. To write, type SET ROLE NONE first.
    """
    server, schema = _embedded()
    server.psql(schema, arguments)


@warehouse.command("remove")
@click.confirmation_option(prompt="Delete the embedded server's data for good?", help="Do not ask.")
def warehouse_remove() -> None:
    """Stop the server and delete its data for good."""
    server, _ = _embedded()
    server.remove()
    click.echo("removed")


def _embedded() -> tuple[EmbeddedServer, str]:
    """Return the server that the settings name, and the analysts' schema in it."""
    from worker.load.embedded import EmbeddedServer

    # A wrong setting of the source must not keep anybody from stopping the server.
    settings = command_settings("WAREHOUSE_")
    if settings.dsn is not None:
        raise SettingsError(
            "WAREHOUSE_DSN is set. This command is for the embedded server, which is not in use.",
            next="Unset WAREHOUSE_DSN (and WAREHOUSE_DSN_FILE) for this command, or use psql with that URL.",
        )
    return EmbeddedServer(settings.warehouse_dir), settings.schema


@click.group(cls=Group)
def quarantine() -> None:
    """Accept entries in quarantine as known."""


@quarantine.command("accept")
@click.argument("reason")
def quarantine_accept(reason: str) -> None:
    """Accept what is in quarantine for REASON, so that it no longer makes a run incomplete.

    The entries are kept and counted as before. Who accepted them, and when, is noted. Later entries are judged by
    themselves. `message-mirror status` names the reasons.
    """
    from worker.jobs.accept_quarantine import accept

    if reason not in {*Reason}:
        known = ", ".join(Reason)
        raise SettingsError(
            f"There is no such reason. Reasons are: {known}.", next="message-mirror status lists the present ones."
        )
    accepted = run_job(accept(command_settings(), Reason(reason)))
    if accepted:
        click.echo(f"Accepted: {accepted:,} entries ({reason}). They stay in quarantine, but make no run incomplete.")
    else:
        click.echo(f"Every entry in quarantine for {reason} was accepted before, or there is none.")


@click.command()
@_number("--messages", 20_000, "Size of the made-up clinic.")
@_SEED
def demo(messages: int, seed: int) -> None:
    """Mirror a made-up clinic into an embedded PostgreSQL of its own, .warehouse-demo, and query it.

    It reads no setting of the environment, and leaves your warehouse alone.
    """
    from worker.cli import terminal
    from worker.cli.demo import DIRECTORY
    from worker.cli.demo import demo as job
    from worker.cli.progress_bar import progress_report
    from worker.telemetry import configure_logging, withhold_unhandled

    configure_logging()
    withhold_unhandled()
    program = Path(sys.argv[0]) if not sys.argv[0].endswith("__main__.py") else Path("python -m worker")
    unset = "".join(f"{name}= " for name in ("WAREHOUSE_DSN", "WAREHOUSE_DSN_FILE") if os.environ.get(name))
    here = f"{unset}WAREHOUSE_DIR={DIRECTORY} {_shown(program)} warehouse"
    anew = f"`{here} remove`, then run the same command again"
    with progress_report() as report:
        try:
            result, rows = run_job(job(messages, seed, report))
        except WrongInstance:
            what = f"{DIRECTORY} holds another made-up clinic: its --messages, --seed or version differ."
            raise WrongInstance(what, safe="Nothing was changed.", next=f"For this one: {anew}.") from None
        except RunLocked as locked:
            again = "Wait for that demo to end, then run the same command again."
            raise RunLocked(locked.what, safe=locked.safe, next=again) from None
    terminal.show_run(result, again=anew, believe=anew)
    terminal.show_rows("canvas.live_message by direction", rows)
    click.echo(f"Go on in psql:\n  {here} psql")
    sys.exit(EXIT_OK if result.outcome == "complete" else EXIT_INCOMPLETE)


def _shown(program: Path) -> str:
    here = Path.cwd()
    return str(program.relative_to(here)) if program.is_absolute() and program.is_relative_to(here) else str(program)
