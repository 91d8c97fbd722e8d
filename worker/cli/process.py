"""A command as a process: signals and exit codes. Everything heavy is imported inside, as in `cli`."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from worker.cli import streams
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE, Interrupted, MirrorError, SettingsError
from worker.settings import log_form, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import FrameType

    from worker.settings import Settings

T = TypeVar("T")

# A terminal that closes ends the commands that it started, except those started with nohup.
_HANGS_UP = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if _HANGS_UP else []))
_NAME = re.compile(r"(?=.{1,20}$)(?:--?)?[a-z]+(?:-[a-z]+)*")
DRAIN_S = 8.0
AGAIN = "Run the same command again."
RESUMES = "The same command resumes it."


def command_settings(prefix: str = "") -> Settings:
    """Return the settings, after sending the log where MIRROR_LOG says, so that a failure to read them is logged, too.

    With a `prefix`, only variables that begin with it are read.
    """
    from worker.telemetry import configure_logging, withhold_unhandled

    configure_logging(log_form(os.environ))
    withhold_unhandled()
    return read_settings({name: value for name, value in os.environ.items() if name.startswith(prefix)})


def run_job(work: Coroutine[Any, Any, T], *, again: str = AGAIN) -> T:
    """Run a job and return its result. The first of `STOP_SIGNALS` cancels it; then Interrupted is raised.

    Further signals change nothing. A cancelled job has `DRAIN_S` seconds to release what it holds; then the process
    ends, which is as safe. `again` is what to type next after a signal.
    """
    import asyncio

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            _on_stop_signals(_take_no_notice)
            last_resort = threading.Timer(DRAIN_S, _give_up, (again,))
            last_resort.daemon = True
            last_resort.start()
            loop.call_soon_threadsafe(task.cancel)

        # Not the loop's own handlers: while the loop closes, a second signal would kill the process.
        _on_stop_signals(stop)
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            raise _interrupted(again) from None
        finally:
            if signal.getsignal(signal.SIGTERM) is stop:
                _on_stop_signals(_abort)


def _on_stop_signals(handler: Callable[[int, FrameType | None], Any] | signal.Handlers) -> None:
    for signum in STOP_SIGNALS:
        signal.signal(signum, handler)


def _abort(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End a command at once while no job runs: it holds nothing that must be released.

    Not by an exception, which an import may swallow.
    """
    told = b"Interrupted.\n"
    if log_form(os.environ) == "json":
        told = b'{"event": "the command failed", "level": "error", "error": "Interrupted", "exit_code": 130}\n'
    with contextlib.suppress(OSError):
        os.write(2, told)
    os._exit(Interrupted.exit_code)


def _take_no_notice(_signal: int, _frame: FrameType | None) -> None:
    """Ignore a further signal. Not SIG_IGN: if it is set while a signal is pending, the interpreter complains."""


def _interrupted(again: str) -> Interrupted:
    return Interrupted("Interrupted.", safe="What had been landed is kept.", next=again)


def _give_up(again: str) -> NoReturn:
    """End the process at once: the job had long enough to end by itself."""
    show_error(_interrupted(again))
    sys.stdout.flush()
    os._exit(Interrupted.exit_code)


def show_error(error: MirrorError, kind: str = "") -> None:
    """Show an error on stderr, as one line if the log is JSON. `kind` is its name if that is not its type's."""
    from worker.telemetry import log_error, logs_json

    if logs_json():
        log_error("the command failed", error, kind=kind)
    else:
        click.echo(error.told(), err=True)


def run_command(command: Callable[[], object]) -> NoReturn:
    """Run a click command, given without its standalone mode, and exit with the codes of `worker.errors`.

    A failure never ends in a traceback, because its values could be a patient's words. A stdout or stderr that cannot
    be written does not change how a job ends; a lost stdout is reported.
    """
    _on_stop_signals(_abort)
    # Memory holds patients' words and secrets: a process that crashes must leave none of it in a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    streams.never_fail()
    code = _exit_code(command)
    _say_what_is_lost()
    # The exit code is decided: a signal while the interpreter shuts down must not change it.
    _on_stop_signals(signal.SIG_IGN)
    sys.exit(code)


def end_shown() -> NoReturn:
    """End a command that only prints. It exits 1 if stdout could not be written."""
    sys.exit(EXIT_INCOMPLETE if streams.lost() else EXIT_OK)


def _say_what_is_lost() -> None:
    why = streams.lost()
    if why is not None:
        show_error(
            MirrorError(
                f"stdout could not be written: {why}.",
                safe="What a job did is kept, and its exit code is its own.",
                next="`message-mirror status` shows how runs ended.",
            )
        )


def _exit_code(command: Callable[[], object]) -> int | str | None:
    try:
        command()
    except SystemExit as exit_:
        return exit_.code
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        _show_usage(error)
        return EXIT_USAGE
    except click.Abort:
        return Interrupted.exit_code
    except MirrorError as error:
        return _fail(error, error)
    except Exception as error:  # noqa: BLE001 - a defect of ours; its message could hold a patient's words
        from worker.telemetry import where

        what = f"A defect of the mirror: {where(error)}"
        return _fail(error, MirrorError(what, safe="What was committed is kept.", next="Report these lines."))
    return EXIT_OK


def _show_usage(error: click.ClickException) -> None:
    """Show on stderr what is wrong with what was typed, or the help if nothing was."""
    typed_nothing = isinstance(error, click.exceptions.NoArgsIsHelpError)
    context = getattr(error, "ctx", None)
    if log_form(os.environ) == "json":
        from worker.telemetry import configure_logging

        configure_logging("json")
        what = "No command was named." if typed_nothing else _discreetly(error)
        program = context.command_path if context else "message-mirror"
        show_error(SettingsError(what, next=f"{program} --help"), "UsageError")
    elif typed_nothing:
        error.show()
    else:
        click.UsageError(_discreetly(error), context).show()


def _discreetly(error: click.ClickException) -> str:
    """Say what is wrong with the arguments without quoting them: they may hold a patient's id, and end in a journal."""
    if isinstance(error, click.BadParameter) and error.param is not None:
        name = " / ".join(error.param.opts)
        if isinstance(error, click.MissingParameter):
            return f"Missing {name}."
        why = error.__context__.strerror if isinstance(error.__context__, OSError) else None
        return f"{name}: {why}." if why else f"Invalid value for {name}: it takes {_taken_by(error.param, error.ctx)}."
    if isinstance(error, click.BadOptionUsage):
        return error.format_message()  # the name of an option that exists
    # An unknown name is quoted if it looks like the name of a command or an option.
    typed = getattr(error, "option_name", None) or getattr(error, "command_name", None)
    if typed is not None and _NAME.fullmatch(typed):
        return error.format_message()
    return "There is no such command, option or argument."


def _taken_by(parameter: click.Parameter, context: click.Context | None) -> str:
    if isinstance(parameter.type, click.IntRange):
        low, high = parameter.type.min, parameter.type.max
        return f"a whole number from {low}" + (f" to {high}" if high is not None else "")
    if isinstance(parameter.type, click.DateTime):
        return "a day such as 2024-01-31"
    return parameter.make_metavar(context or click.Context(click.Command(None)))


def _fail(error: Exception, told: MirrorError) -> int:
    """Show an error to the user. Return its exit code."""
    show_error(told, type(error).__name__)
    return told.exit_code
