"""What goes wrong in front of the canaries: a source that quotes them, a warehouse that does, a defect of ours."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import trustme
from aiohttp import web

from tests.faults.canary_ears import MARK, PATIENTS, Ears, canary_message
from tests.integration.loopback import Upstream
from tests.integration.mirroring import IN_HASTE, environment

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg
    from aiohttp.typedefs import Handler, Middleware

    from tests.faults.processes import Doorbell
    from worker.sandbox.population import Clinic

WORDS = f"{MARK}body of {PATIENTS[0].reference}, called {PATIENTS[0].family}"
OUTCOME: dict[str, Any] = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "exception", "details": {"text": WORDS}, "diagnostics": WORDS}],
}
REFUSAL = {**OUTCOME, "issue": [{**OUTCOME["issue"][0], "code": "forbidden"}]}
FOREIGN = {"relation": "next", "url": f"https://{MARK}.example/Communication?sender={PATIENTS[0].reference}"}

# Spoil one page each; the run goes on.
SPOILED: tuple[Callable[[], web.Response], ...] = (
    lambda: web.Response(status=500, text=WORDS),
    lambda: web.json_response(OUTCOME, status=500),
    lambda: web.json_response(REFUSAL, status=400),
    lambda: web.json_response(REFUSAL, status=404),
    lambda: web.Response(status=500, reason=f"{MARK} reason", text=WORDS),
    lambda: web.Response(status=302, headers={"Location": f"/{PATIENTS[0].reference}"}),
    lambda: web.Response(text=f"<html>{WORDS}</html>", content_type="text/html"),
    lambda: web.Response(text=f"<html>{WORDS}</html>", content_type="text/html", status=403),
    lambda: web.json_response(OUTCOME),
    lambda: web.Response(text=f'{{"resourceType": "Bundle", "entry": [{{"resource": "{WORDS}'),
    lambda: web.Response(text=f'{{"resourceType": "{WORDS}", "total": 1}}'),
    lambda: web.json_response({"resourceType": "Bundle", "type": "searchset", "total": WORDS, "entry": []}),
    lambda: web.json_response({"resourceType": "Bundle", "type": "searchset", "total": 3, "link": [FOREIGN]}),
    lambda: web.Response(text=WORDS, headers={"Content-Encoding": f"{MARK}zip"}),
    lambda: web.Response(body=WORDS.encode("utf-16"), headers={"Content-Type": f"text/{MARK}; charset={MARK}"}),
)
# End the run.
REFUSED: tuple[tuple[int, Callable[[], web.Response]], ...] = (
    (2, lambda: web.json_response(REFUSAL, status=401)),
    (2, lambda: web.json_response(REFUSAL, status=403)),
    (3, lambda: web.Response(status=503, headers={"Retry-After": f"{MARK}later"}, text=WORDS)),
    (3, lambda: web.json_response(OUTCOME, status=429, headers={"Retry-After": "86400"})),
)

SPEAKING_TRIGGER = """
CREATE OR REPLACE FUNCTION speak() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(current_setting('canary.sleep_s')::float);
    RAISE EXCEPTION '%', NEW.body_text USING
        ERRCODE = current_setting('canary.sqlstate'), DETAIL = NEW.body_text, HINT = NEW.patient_id;
END $$;
CREATE OR REPLACE TRIGGER speak BEFORE INSERT OR UPDATE ON canvas.message FOR EACH ROW EXECUTE FUNCTION speak()
"""
# Disk full, cancelled, a value not of its type, an internal error, and what a trigger says of its own, each with the
# exit code of the sync. Two of them are about a row, which is set aside: all rows at once are a flood.
SQLSTATES = {"53100": 4, "57014": 4, "22P02": 1, "XX000": 4, "P0001": 1}

RAISES = """
from worker.jobs.run import derive

def to_messages(communications, rules, read):
    if communications:
        raise ValueError(f"cannot read {communications}")
    return []

derive.to_messages = to_messages
"""

# A library's warning, a task and a thread that nobody asks after, an error in a destructor and in a callback.
SPEAKS_ASIDE = """
import asyncio, gc, threading, warnings
from worker.jobs.run import derive
to_messages = derive.to_messages

class Dying:
    def __init__(self, words):
        self.words = words

    def __del__(self):
        raise ValueError(self.words)

def fail(words):
    raise ValueError(words)

async def forgotten(words):
    fail(words)

def speaking(communications, rules, read):
    words = repr([one.payloads for one in communications])
    warnings.warn(words)
    asyncio.ensure_future(forgotten(words))
    asyncio.get_running_loop().call_soon(fail, words)
    threading.Thread(target=fail, args=(words,)).start()
    Dying(words)
    return to_messages(communications, rules, read)

derive.to_messages = speaking
"""


@dataclass(slots=True)
class Stage:
    """A clinic of canaries, who serves it, the warehouse it is mirrored to, and the ears."""

    ears: Ears
    clinic: Clinic
    spoiler: Spoiler
    bell: Doorbell
    database: asyncpg.Connection
    url: str
    dsn: str
    commands: int = 0

    def variables(self, **more: str) -> dict[str, str]:
        """Return the settings of a command; every other one logs as JSON."""
        self.commands += 1
        form = ("console", "json")[self.commands % 2]
        return environment(
            self.url,
            self.dsn,
            **{"MIRROR_LOG": form, "MIRROR_PRACTITIONER_NAMES": "on", "MIRROR_PATIENCE": "2s", **more},
        )

    def change(self, message_id: str = "changed") -> None:
        """Give the next run a message to write."""
        self.clinic.put(canary_message(message_id, payload=[{"contentString": f"{MARK}body {uuid4()}"}]))


class Spoiler:
    """A middleware that answers searches for messages in place of the sandbox, each by the next of its answers."""

    def __init__(self) -> None:
        self._answers: cycle[Callable[[], web.Response]] | None = None
        self._to_all = False
        self._of_search: dict[str, Callable[[], web.Response]] = {}

    def answer(self, *answers: Callable[[], web.Response]) -> None:
        """Answer so from now on; with nothing, let the sandbox answer. One answer is for the probe (`_id`) too."""
        self._answers, self._to_all = cycle(answers) if answers else None, len(answers) == 1
        self._of_search.clear()

    def middleware(self) -> Middleware:
        """Return it as aiohttp wants it."""

        @web.middleware
        async def spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
            is_probe = "_id" in request.query and not self._to_all
            if self._answers is None or request.path != "/Communication" or is_probe:
                return await handler(request)
            if request.query_string not in self._of_search:
                self._of_search[request.query_string] = next(self._answers)
            return self._of_search[request.query_string]()

        return spoil


async def source_fails(stage: Stage) -> None:
    """Let the source quote patients in every kind of answer, some of which spoil a search and some the run."""
    stage.change()
    for first in range(0, len(SPOILED), 4):  # as many as there are searches
        stage.spoiler.answer(*SPOILED[first : first + 4])
        await stage.ears.run(stage.variables(), "sync", code=1, sabotage=IN_HASTE)
    for code, answer in REFUSED:
        stage.spoiler.answer(answer)
        await stage.ears.run(stage.variables(), "sync", code=code, sabotage=IN_HASTE)
    stage.spoiler.answer()


async def untrusted_source(stage: Stage) -> None:
    """Let the source have a certificate that nobody trusts, and that names a patient."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA(organization_name=WORDS)
    authority.issue_cert("127.0.0.1", common_name=PATIENTS[0].family).configure_cert(context)
    async with Upstream().serve(tls=context) as upstream:
        await stage.ears.run(stage.variables(CANVAS_FHIR_URL=upstream.url), "sync", code=2)


async def warehouse_refuses(stage: Stage) -> None:
    """Let the warehouse quote patients in its errors: a constraint, and whatever a server may say."""
    database = stage.database
    await database.execute("DROP SCHEMA IF EXISTS canvas, canvas_ops CASCADE")  # all rows at once: a flood
    await stage.ears.run(stage.variables(), "migrate")
    await database.execute(
        f"ALTER TABLE canvas.message ADD CONSTRAINT refused CHECK (body_text NOT LIKE '{MARK}%') NOT VALID"
    )
    stage.change()
    await stage.ears.run(
        stage.variables(), "sync", code=1, saying="the warehouse refused messages, which were set aside"
    )
    await database.execute("ALTER TABLE canvas.message DROP CONSTRAINT refused")
    await database.execute(SPEAKING_TRIGGER)
    name = await database.fetchval("SELECT current_database()")
    await database.execute(f"ALTER DATABASE {name} SET canary.sleep_s = 0")
    for sqlstate, code in SQLSTATES.items():
        await database.execute(f"ALTER DATABASE {name} SET canary.sqlstate = '{sqlstate}'")
        await stage.ears.run(stage.variables(), "sync", code=code)
    await database.execute("DROP FUNCTION speak() CASCADE")


async def defects(stage: Stage) -> None:
    """Let defects of ours raise errors that quote a message: where they end the run, and where nobody handles them."""
    stage.change()
    await stage.ears.run(stage.variables(), "sync", code=1, sabotage=RAISES, saying="A defect of the mirror")
    await stage.ears.run(stage.variables(), "sync", sabotage=SPEAKS_ASIDE)
