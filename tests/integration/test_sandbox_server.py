"""The sandbox as a server: tokens, start and stop, the hooks that tests use."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from worker.errors import SettingsError
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer, serve_forever

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

EXAMPLE = "/Communication?_id=7433b4b2-0d18-45ca-bb12-71105c80386b"
FORM = {
    "grant_type": "client_credentials",
    "client_id": SandboxServer.client_id,
    "client_secret": SandboxServer.client_secret,
}


def sandbox(**options: Any) -> SandboxServer:
    return SandboxServer(make_clinic(messages=10, practitioners=2, patients=3), **options)


async def ask_for_token(http: aiohttp.ClientSession, **changes: str) -> tuple[int, dict[str, Any]]:
    async with http.post("/auth/token/", data=FORM | changes) as answer:
        return answer.status, await answer.json()


async def test_a_token_is_given_and_lets_in() -> None:
    """Client credentials get a bearer token of ten hours that opens a search."""
    async with sandbox() as server, aiohttp.ClientSession(base_url=server.url) as http:
        status, body = await ask_for_token(http)
        assert status == 200
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 36_000)
        headers = {"Authorization": f"Bearer {body['access_token']}"}
        async with http.get(EXAMPLE, headers=headers) as answer:
            assert answer.status == 200
        assert server.requests == 2


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "somebody"}, 401, "invalid_client"),
        ({"client_id": "sandbox\nsandbox-secret", "client_secret": ""}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"scope": "system/Observation.read"}, 400, "invalid_scope"),
    ],
)
async def test_wrong_token_requests_are_oauth_errors(changes: dict[str, str], status: int, error: str) -> None:
    """What is wrong with a token request is answered as RFC 6749 §5.2 says."""
    async with sandbox() as server, aiohttp.ClientSession(base_url=server.url) as http:
        assert await ask_for_token(http, **changes) == (status, {"error": error})


async def test_tokens_expire_by_themselves() -> None:
    """A token with a lifetime of nothing is refused at once; the lifetime is in `expires_in`."""
    async with sandbox(token_lifetime_s=0) as server, aiohttp.ClientSession(base_url=server.url) as http:
        _, body = await ask_for_token(http)
        assert body["expires_in"] == 0
        async with http.get(EXAMPLE, headers={"Authorization": f"Bearer {body['access_token']}"}) as answer:
            assert answer.status == 401


async def test_middlewares_stand_before_everything() -> None:
    """A middleware sees the answer, a refusal too, and can put another in its place; the request counts."""

    @web.middleware
    async def spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
        assert (await handler(request)).status == 401
        return web.Response(status=503, text="<h1>away</h1>")

    async with sandbox(middlewares=[spoil], latency_ms=1) as server, aiohttp.ClientSession() as http:
        async with http.get(server.url + EXAMPLE) as answer:
            assert (answer.status, await answer.text()) == (503, "<h1>away</h1>")
        assert server.requests == 1


async def test_lone_surrogates_leave_as_json_escapes() -> None:
    """A body that UTF-8 cannot hold is sent as the escape that JSON has for it, in an otherwise UTF-8 page."""
    async with sandbox() as server, aiohttp.ClientSession(base_url=server.url) as http:
        server.clinic.put({"id": "odd", "payload": [{"contentString": "a\ud800b é"}]})
        _, body = await ask_for_token(http)
        headers = {"Authorization": f"Bearer {body['access_token']}"}
        async with http.get("/Communication?_id=odd", headers=headers) as answer:
            assert '"a\\ud800b é"' in (await answer.read()).decode("utf-8")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104 - refused
async def test_only_loopback_addresses_are_listened_on(host: str) -> None:
    """No other machine can reach the sandbox."""
    with pytest.raises(ValueError, match="loopback"):
        await sandbox().start(host=host)


async def test_stopping_frees_the_port() -> None:
    """A stopped server answers no more and can be stopped again."""
    server = sandbox()
    await server.start()
    await server.stop()
    await server.stop()
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(server.url + "/metadata")


async def test_a_taken_port_is_said_for_people() -> None:
    """A port that something else holds ends in an error with the next thing to type."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError) as caught:
            await serve_forever(sandbox(), taken.getsockname()[1])
    assert "--port 0" in caught.value.next


async def test_serve_forever_prints_how_to_use_it_and_stops_when_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    """The printed URL answers until then. A signal cancels it (test_cli.py)."""
    started = sandbox()
    serving = asyncio.create_task(serve_forever(started, 0))
    said = ""
    while "Ctrl-C" not in said:
        await asyncio.sleep(0.01)
        said += capsys.readouterr().out
    assert f"export CANVAS_FHIR_URL={started.url}\n" in said
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{started.url}/metadata") as answer:
            assert answer.status == 200
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(f"{started.url}/metadata")
