"""What a test of a whole run is made of: settings, messages to serve, the real command, a look at the rows."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.integration.fork_server import fork_server
from worker.sandbox.sandbox_server import SandboxServer
from worker.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import asyncpg
    from aiohttp.typedefs import Handler, Middleware

Resource = dict[str, Any]

PATIENT = "4c21512185184e579b09bfac16dfdd2f"
PRACTITIONER = "4150cd20de8a470aa570a852859ac87e"
CHECKOUT = Path(__file__).parents[2]
# Code that a command runs first: no wait and no slower pace, so that a page that fails six times fails soon.
IN_HASTE = (
    "from worker.extract import auth, pace, patience; pace.FIRST_WAIT_S = pace.LONGEST_WAIT_S = 0.001;"
    " pace.SLOWEST_PER_S = 1000.0; patience.REFUSED_TOKEN_S = auth.REFUSED_TOKEN_S = 0.1;"
    " from worker.jobs.run import acceptance; acceptance.PAUSES_S = (0.0, 0.0, 0.0)"
)
GONE_FOR_A_DAY = {"Retry-After": "86400"}


def environment(url: str, dsn: str, **more: str) -> dict[str, str]:
    """Return the variables of a mirror from the sandbox at `url` to the database at `dsn`, and `more`."""
    return {
        "CANVAS_FHIR_URL": url,
        "CANVAS_CLIENT_ID": SandboxServer.client_id,
        "CANVAS_CLIENT_SECRET": SandboxServer.client_secret,
        "WAREHOUSE_DSN": dsn,
        "MIRROR_CONCURRENCY": "4",
        **more,
    }


def mirror_settings(url: str, dsn: str, **more: str) -> Settings:
    """Return the settings of the same."""
    return read_settings(environment(url, dsn, **more))


def message(message_id: str, *, text: str = "Made up.", **fields: Any) -> Resource:
    """Return a Communication of the documented practitioner to the documented patient, changed by `fields`."""
    return {
        "resourceType": "Communication",
        "id": message_id,
        "status": "unknown",
        "sent": "2021-05-04T10:00:00+00:00",
        "recipient": [{"reference": f"Patient/{PATIENT}", "type": "Patient"}],
        "sender": {"reference": f"Practitioner/{PRACTITIONER}", "type": "Practitioner"},
        "payload": [{"contentString": text}],
        **fields,
    }


@dataclass(frozen=True)
class Finished:
    """A command that ended: its exit code and what it wrote."""

    code: int | None
    out: str
    err: str


async def start_command(
    variables: dict[str, str], *arguments: str, directory: Path = CHECKOUT, module: str = "worker"
) -> asyncio.subprocess.Process:
    """Start `python -m worker …` in `directory`, with no variables of the mirror but these."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        env={**_inherited(), **variables},
        cwd=directory,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run_command(
    variables: dict[str, str], *arguments: str, stdin: str | bytes = "", directory: Path = CHECKOUT, first: str = ""
) -> Finished:
    """Run `python -m worker …` to its end, in a process forked from one that has imported the worker already.

    `first` is code that it runs before, such as `IN_HASTE`.
    """
    typed = stdin.encode() if isinstance(stdin, str) else stdin
    if any(name.startswith("PYTHON") for name in variables):  # an interpreter reads these while it starts
        assert not first
        process = await start_command(variables, *arguments, directory=directory)
        out, err = await process.communicate(typed)
        return Finished(process.returncode, out.decode(), err.decode())
    code, out, err = await fork_server().run({**_inherited(), **variables}, arguments, typed, directory, first)
    return Finished(code, out.decode(), err.decode())


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


async def places_of(database: asyncpg.Connection) -> dict[str, tuple[str, str]]:
    """Return where each message's row lies and which transaction wrote it: any write changes both."""
    rows = await database.fetch("SELECT id, ctid::text, xmin::text FROM canvas.message")
    return {row["id"]: (row["ctid"], row["xmin"]) for row in rows}


async def ids_of(database: asyncpg.Connection) -> set[str]:
    """Return the ids of all messages."""
    return {row["id"] for row in await database.fetch("SELECT id FROM canvas.message")}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that another process does; one that never does it ends in the test's time-out."""
    while not await condition():  # noqa: ASYNC110 - another process sets no event here
        await asyncio.sleep(0.02)


class Watch:
    """A middleware that notes every search for messages, and lets the source go away after `answers` of them."""

    def __init__(self, answers: int | None = None) -> None:
        self.answers = answers
        self.searches: list[tuple[str, str]] = []

    def middleware(self) -> Middleware:
        """Return it as aiohttp wants it. The probe for no message (`_id`) is neither noted nor counted."""

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path != "/Communication" or "_id" in request.query:
                return await handler(request)
            if self.answers is not None and len(self.searches) >= self.answers:
                return web.Response(status=503, headers=GONE_FOR_A_DAY)
            parameter = "recipient" if "recipient" in request.query else "sender"
            self.searches.append((parameter, request.query[parameter]))
            return await handler(request)

        return watch


class PlainSource:
    """A FHIR server written by hand: answers fixed bodies by path and parameter, and knows nothing of the sandbox.

    `answers` maps `(parameter, value)` of a message search to a body; any other search finds nobody and nothing.
    """

    EMPTY = b'{"resourceType": "Bundle", "type": "searchset", "total": 0}'

    def __init__(self, answers: dict[tuple[str, str], bytes], practitioners: Sequence[str] = ()) -> None:
        self.answers = answers
        self.practitioners = practitioners
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> PlainSource:
        app = web.Application()
        app.router.add_post("/auth/token/", self._token)
        app.router.add_get("/Communication", self._messages)
        app.router.add_get("/Practitioner", self._practitioners)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _token(self, _request: web.Request) -> web.Response:
        return web.json_response({"access_token": "a-token", "expires_in": 36000, "token_type": "Bearer"})

    async def _messages(self, request: web.Request) -> web.Response:
        for asked, body in self.answers.items():
            if asked in request.query.items():
                return web.Response(body=body)
        return web.Response(body=self.EMPTY)

    async def _practitioners(self, request: web.Request) -> web.Response:
        listed = self.practitioners if request.query.get("active") == "true" else ()
        entries = [{"resource": {"resourceType": "Practitioner", "id": one, "active": True}} for one in listed]
        return web.json_response(
            {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}
        )


def searchset(entries: Sequence[bytes], total: int | None = None) -> bytes:
    """Return a Bundle of one page whose entries are these bytes as they stand."""
    count = len(entries) if total is None else total
    return b'{"resourceType":"Bundle","type":"searchset","total":%d,"entry":[%b]}' % (count, b",".join(entries))
