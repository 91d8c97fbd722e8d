"""What stands in the way of a connection, and is not mended by waiting."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from worker.errors import SettingsError, WarehouseRefused
from worker.load.database import open_warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# So long that a test which waits for it ends in its time-out.
PATIENCE = timedelta(hours=1)
NOBODY = 65534


@pytest.fixture
def closed_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a HOME that this user may not enter; root becomes nobody for as long."""
    home = tmp_path / "home"
    home.mkdir(mode=0o000)
    monkeypatch.setenv("HOME", str(home))
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(NOBODY)
    yield home
    os.seteuid(uid)
    home.chmod(0o700)


@pytest.mark.usefixtures("closed_home")
async def test_a_home_that_is_closed_to_us_is_said_at_once() -> None:
    """The driver looks for passwords and certificates below HOME."""
    with pytest.raises(WarehouseRefused, match="this user may not open") as refused:
        async with open_warehouse("postgresql://writer@127.0.0.1:1/warehouse", "canvas", PATIENCE):
            pytest.fail("connected")
    assert "HOME" in refused.value.next


@pytest.mark.parametrize("query", ["sslmode=verify-full&sslrootcert=/no/such/file", "sslmode=perhaps"])
async def test_parameters_that_cannot_be_met_are_said_at_once(query: str) -> None:
    with pytest.raises(SettingsError, match="WAREHOUSE_DSN"):
        async with open_warehouse(f"postgresql://writer@127.0.0.1:1/warehouse?{query}", "canvas", PATIENCE):
            pytest.fail("connected")
