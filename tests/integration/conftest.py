"""Fixtures of the tests on a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import asyncpg
import pytest

from tests.integration.fork_server import NO_PAUSES_S
from worker.jobs.run import acceptance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Let no job of the test's own process wait between the walks of a search.

    Without `monkeypatch`, which would then be the first fixture of every test and undone after all others.
    """
    with patch.object(acceptance, "PAUSES_S", NO_PAUSES_S):
        yield


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection of the test's own to its database, to look and to meddle."""
    connection = await asyncpg.connect(database_dsn)
    yield connection
    await connection.close()
