"""A sandbox of either edition, and a client that is let in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from worker.sandbox.population import Edition, make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    GetToken = Callable[..., Awaitable[str]]


@pytest.fixture(params=["seed", "current"])
def edition(request: pytest.FixtureRequest) -> Edition:
    """Run each test in both editions."""
    chosen: Edition = request.param
    return chosen


@pytest.fixture
async def server(edition: Edition) -> AsyncIterator[SandboxServer]:
    clinic = make_clinic(messages=600, practitioners=12, patients=40, seed=7, edition=edition)
    async with SandboxServer(clinic) as started:
        yield started


@pytest.fixture
async def http(server: SandboxServer) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a client of the server; paths are relative, no token is sent by itself."""
    async with aiohttp.ClientSession(base_url=server.url) as session:
        yield session


@pytest.fixture
def get_token(server: SandboxServer, http: aiohttp.ClientSession) -> GetToken:
    """Ask for a token, of all scopes or of those named."""

    async def ask(scope: str = "") -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": server.client_id,
            "client_secret": server.client_secret,
        }
        async with http.post("/auth/token/", data=form | ({"scope": scope} if scope else {})) as answer:
            assert answer.status == 200
            token: str = (await answer.json())["access_token"]
            return token

    return ask


@pytest.fixture
async def authorized(get_token: GetToken) -> dict[str, str]:
    """Return the headers of a client that may do everything."""
    return {"Authorization": f"Bearer {await get_token()}"}
