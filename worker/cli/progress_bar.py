"""Shows on stderr how far a run is: a bar on a terminal, otherwise a log line now and then."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from worker.telemetry import get_logger, logs_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.jobs.run.progress import Progress, Report

LOG_EVERY_S = 10.0


@contextmanager
def progress_report() -> Iterator[Report]:
    """Yield a function that reports progress: a bar on a terminal; a log line now and then elsewhere, and in JSON."""
    if logs_json() or not sys.stderr.isatty():
        yield _log_report()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        waiting = bars.add_task("reading the roster", total=None)
        tasks: dict[int | None, TaskID] = {}

        def show(progress: Progress) -> None:
            # A bar for each run: `verify` begins with a sync, and its bar must not go back when the next run begins.
            if progress.run_id not in tasks:
                bars.update(waiting, visible=False)
                tasks[progress.run_id] = bars.add_task("")
            bars.update(
                tasks[progress.run_id],
                total=max(progress.expected, 1) if progress.expected else max(progress.searches, 1),
                completed=progress.entries if progress.expected else progress.searches_done,
                description=f"{progress.searches_done:,} of {progress.searches:,} searches, "
                f"{progress.entries:,} entries, "
                f"{progress.new:,} new, {progress.changed:,} changed",
            )

        yield show


def _log_report() -> Report:
    last = time.monotonic()

    def log(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < LOG_EVERY_S:
            return
        last = time.monotonic()
        get_logger().info("progress", **asdict(progress))

    return log
