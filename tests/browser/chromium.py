"""A real headless Chromium, driven over the Chrome DevTools Protocol.

Protocol: https://chromedevtools.github.io/devtools-protocol/ (domains Target, Page, Runtime, Network).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
INSTALL = "apt-get install chromium"
_FLAGS = (
    "--headless",
    "--remote-debugging-port=0",
    "--no-sandbox",  # it refuses to run as root otherwise, and reads nothing but our own made-up bodies
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-proxy-server",
)
_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")
_START_SECONDS = 60
_STOP_SECONDS = 10

# What the protocol sends and answers: JSON objects.
Json: TypeAlias = dict[str, Any]
Listener: TypeAlias = Callable[[str, Json], None]


class NoBrowserError(Exception):
    """No Chromium can be started here; the message says how to get one."""


class ProtocolError(Exception):
    """Chromium refused a command."""


def executable() -> str | None:
    """Return the path of the installed browser, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """One page of the browser. Events of the domains that were enabled go to `listener`."""

    def __init__(self, connection: _Connection, session_id: str, target_id: str) -> None:
        self._connection = connection
        self._session_id = session_id
        self.target_id = target_id

    async def call(self, method: str, **params: object) -> Json:
        """Run one command and return its result. Raises `ProtocolError`."""
        return await self._connection.call(method, params, self._session_id)

    async def evaluate(self, expression: str) -> Any:
        """Return the JSON value of an expression in the page, promises awaited. Raises `ProtocolError` if it throws."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise ProtocolError(str(answer["exceptionDetails"].get("text")))
        return answer["result"].get("value")

    async def show(self, document: str) -> None:
        """Replace the page's document by this HTML document, parsed as a page is."""
        frame = (await self.call("Page.getFrameTree"))["frameTree"]["frame"]["id"]
        await self.call("Page.setDocumentContent", frameId=frame, html=document)

    def listen(self, listener: Listener) -> None:
        """Send this tab's events, as (method, params), to `listener` from now on."""
        self._connection.listeners[self._session_id] = listener

    async def close(self) -> None:
        await self._connection.call("Target.closeTarget", {"targetId": self.target_id})
        self._connection.listeners.pop(self._session_id, None)


class Chromium:
    """A running browser."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def version(self) -> str:
        return str((await self._connection.call("Browser.getVersion", {}))["product"])

    async def tab(self) -> Tab:
        """Open an empty page."""
        target = (await self._connection.call("Target.createTarget", {"url": "about:blank"}))["targetId"]
        attached = await self._connection.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        return Tab(self._connection, attached["sessionId"], target)

    async def close(self) -> None:
        await self._connection.call("Browser.close", {})


class _Connection:
    """Commands and events of all tabs over one WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self.listeners: dict[str, Listener] = {}

    async def call(self, method: str, params: Json, session_id: str | None = None) -> Json:
        number = next(self._numbers)
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        command = {"id": number, "method": method, "params": params}
        await self._socket.send_json(command if session_id is None else {**command, "sessionId": session_id})
        return await answer

    async def read(self) -> None:
        """Hand on answers and events until the browser closes the connection."""
        async for frame in self._socket:
            message = frame.json()
            if "id" in message:
                self._answer(message)
            elif message.get("sessionId") in self.listeners:
                self.listeners[message["sessionId"]](message["method"], message["params"])
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ProtocolError("Chromium has ended"))

    def _answer(self, message: Json) -> None:
        answer = self._waiting.pop(message["id"])
        if answer.done():
            return
        if "error" in message:
            answer.set_exception(ProtocolError(message["error"]["message"]))
        else:
            answer.set_result(message["result"])


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """Start a browser with a profile of its own; end it and remove the profile. Raises `NoBrowserError`."""
    path = executable()
    if path is None:
        raise NoBrowserError(f"no Chromium here (looked for {', '.join(NAMES)}); it comes with: {INSTALL}")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            path,
            *_FLAGS,
            f"--user-data-dir={profile}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile},
            start_new_session=True,
        )
        try:
            url = await _listening_at(process)
            async with (
                _drained(process),
                aiohttp.ClientSession() as http,
                http.ws_connect(url, max_msg_size=0) as socket,
            ):
                connection = _Connection(socket)
                reading = asyncio.create_task(connection.read())
                browser = Chromium(connection)
                try:
                    yield browser
                finally:
                    with contextlib.suppress(ProtocolError, ConnectionError):
                        await browser.close()
                    await socket.close()
                    await reading
        finally:
            await _end(process, Path(profile))


async def _listening_at(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said: list[bytes] = []
    try:
        async with asyncio.timeout(_START_SECONDS):
            async for line in process.stderr:
                found = _LISTENING.search(line)
                if found:
                    return found[1].decode()
                said.append(line)
    except TimeoutError:
        pass
    last_words = b"".join(said[-3:]).decode(errors="replace").strip()
    raise NoBrowserError(f"Chromium does not start: {last_words or 'it says nothing'}")


@contextlib.asynccontextmanager
async def _drained(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """Read on what the browser says, lest it wait for a full pipe."""
    assert process.stderr is not None
    reading = asyncio.create_task(process.stderr.read())
    try:
        yield
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


async def _end(process: asyncio.subprocess.Process, profile: Path) -> None:
    """Wait for the browser's end, or end its process group; then nothing writes to the profile any more."""
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    shutil.rmtree(profile, ignore_errors=True)
