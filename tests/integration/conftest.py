"""Fixtures of the tests on a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection of the test's own to its database, to look and to meddle."""
    connection = await asyncpg.connect(database_dsn)
    yield connection
    await connection.close()
