"""Schedules for tests of `serve`, how it is stopped, and how its log is waited for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

NEVER = datetime.max.replace(tzinfo=UTC)


class Once:
    """Due once, a moment after the instant that is asked for first."""

    def __init__(self) -> None:
        self._at: datetime | None = None

    def after(self, instant: datetime) -> datetime:
        """Return when a sync is due next."""
        self._at = self._at or instant + timedelta(milliseconds=1)
        return self._at if instant < self._at else NEVER


class Often:
    """Due again and again, a moment later."""

    def after(self, instant: datetime) -> datetime:
        """Return when a sync is due next."""
        return instant + timedelta(milliseconds=5)


class At:
    """Due at these hours ago, and never again."""

    def __init__(self, *hours_ago: float) -> None:
        self._instants = sorted(datetime.now(UTC) - timedelta(hours=hours) for hours in hours_ago)

    def after(self, instant: datetime) -> datetime:
        """Return when a sync is due next."""
        return next((at for at in self._instants if at > instant), NEVER)


async def stop(service: asyncio.Task[None]) -> None:
    """Stop `serve` as a signal does, and wait for its end."""
    service.cancel()
    with pytest.raises(asyncio.CancelledError):
        await service


async def until_said(lines: list[Any], event: str) -> None:
    """Wait for a line of the log."""
    while event not in [line["event"] for line in lines]:  # noqa: ASYNC110 - the log is what we wait for
        await asyncio.sleep(0.01)
