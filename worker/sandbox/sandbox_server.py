"""The sandbox's server: how it starts and stops, and the middlewares that every request goes through."""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self

import click
from aiohttp import web

from worker.errors import SettingsError
from worker.sandbox.oauth import Tokens
from worker.sandbox.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.typedefs import Handler, Middleware

    from worker.sandbox.population import Clinic

BODY_MAX_BYTES = 32 * 1024 * 1024


class SandboxServer:
    """A Communication server over a clinic, on a loopback address.

    `url` is the FHIR base URL once it is started, without a trailing slash. It issues tokens at `{url}/auth/token/`. It
    waits `latency_ms` before each answer. `middlewares` come before everything else, so that they can spoil whole
    answers, too. `requests` counts all requests, including those for tokens.
    """

    client_id = "sandbox"
    client_secret = "sandbox-secret"  # noqa: S105 - guards nothing but made-up messages

    def __init__(
        self,
        clinic: Clinic,
        *,
        latency_ms: int = 0,
        token_lifetime_s: int = 36_000,
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        self.clinic = clinic
        self.url = ""
        self.requests = 0
        self._latency_ms = latency_ms
        self._middlewares = middlewares
        self._tokens = Tokens(self.client_id, self.client_secret, token_lifetime_s, time.monotonic)
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on `host` and `port` (0: any that is free).

        Raises ValueError if the host is not a loopback address, OSError if the port cannot be had.
        """
        if not ip_address(host).is_loopback:
            raise ValueError("the sandbox listens on loopback addresses only")
        routes = Routes(self.clinic, self._tokens)
        app = web.Application(
            middlewares=[self._count_and_wait, *self._middlewares, routes.refusals, routes.authentication],
            client_max_size=BODY_MAX_BYTES,
        )
        routes.add_to(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        bound_port = runner.addresses[0][1]
        self.url = f"http://[{host}]:{bound_port}" if ":" in host else f"http://{host}:{bound_port}"

    async def stop(self) -> None:
        """Close all connections and stop listening. Does nothing if it was not started."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        """Start on a free port."""
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop."""
        await self.stop()

    def expire_tokens(self) -> None:
        """Let every token expire now, so that the next request with one is answered 401."""
        self._tokens.expire_all()

    @web.middleware
    async def _count_and_wait(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests += 1
        if self._latency_ms:
            await asyncio.sleep(self._latency_ms / 1000)
        return await handler(request)


async def serve_forever(server: SandboxServer, port: int) -> None:
    """Serve until cancelled, after printing what to type elsewhere to use it.

    Raises SettingsError if the port cannot be had.
    """
    try:
        await server.start(port=port)
    except OSError:
        raise SettingsError(
            f"Port {port} cannot be had: something else listens there, or it needs more rights.",
            next="Choose another with --port, or --port 0 for any that is free.",
        ) from None
    click.echo(f"Sandbox ({server.clinic.edition} edition, {server.clinic.message_count:,} messages) at {server.url}")
    click.echo(f"  export CANVAS_FHIR_URL={server.url}")
    click.echo(f"  export CANVAS_CLIENT_ID={server.client_id} CANVAS_CLIENT_SECRET={server.client_secret}")
    click.echo(f"  export CANVAS_INSTANCE={server.clinic.instance}")
    click.echo("Stop it with Ctrl-C.")
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()
