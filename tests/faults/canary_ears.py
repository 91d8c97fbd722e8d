"""A clinic whose every word about a patient is marked, and ears for whatever a worker lets out into the world."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.processes import run_on_terminal, running
from tests.integration.mirroring import CHECKOUT
from worker.load.embedded.home import find_home
from worker.sandbox.people import EXAMPLE_PATIENT, EXAMPLE_PRACTITIONER, Patient, Practitioner
from worker.sandbox.population import Clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from tests.faults.processes import Worker
    from tests.faults.proof import ProofResult
    from tests.integration.mirroring import Finished
    from worker.load.embedded import EmbeddedServer
    from worker.sandbox.population import Resource

MARK = "zqxj"
"""In every canary, and in nothing else: no hexadecimal number, no word of any language of ours."""

SECRET = SandboxServer.client_secret
"""No log has any business with it either."""

LISTEN_EVERY_S = 0.03
_HEARD = re.compile(rf"\S*{MARK}\S*|{EXAMPLE_PATIENT}|{SECRET}", re.IGNORECASE)

PATIENTS = [Patient(f"{MARK}patient{n}", f"{MARK.title()}given{n}", f"{MARK.title()}family{n}") for n in range(4)]
PRACTITIONERS = [
    Practitioner(example_id, f"{MARK.title()}doctor", f"{MARK.title()}surgeon")
    for example_id in (EXAMPLE_PRACTITIONER, f"{1:032x}")
]


def canary_clinic() -> Clinic:
    """Return a clinic whose bodies, patients' names and ids, and practitioners' names are all canaries."""
    of_the_example = Patient(EXAMPLE_PATIENT, PATIENTS[0].given, PATIENTS[0].family)
    patients = [of_the_example, *PATIENTS]
    clinic = Clinic(seed=1, edition="current", messages=150, practitioners=PRACTITIONERS, patients=patients)
    for number, resource in enumerate(list(clinic)):
        old, name = resource["payload"][0]["contentString"], patients[number % 5].given
        clinic.put({**resource, "payload": [{"contentString": f"{MARK}body {old} <b>{MARK}bold</b> {name}"}]})
    return clinic


def canary_message(message_id: str, **fields: object) -> Resource:
    """Return a message of the first canaries, changed by `fields`."""
    return {
        "resourceType": "Communication",
        "id": message_id,
        "status": "completed",
        "sent": "2024-05-04T10:00:00+00:00",
        "recipient": [{"reference": PATIENTS[0].reference, "display": f"{MARK}display"}],
        "sender": {"reference": PRACTITIONERS[0].reference},
        "payload": [{"contentString": f"{MARK}body of {message_id}"}],
        **fields,
    }


class Ears:
    """Runs commands and listens: to both outputs, titles, arguments and environment, statements, server's logs."""

    def __init__(self, result: ProofResult, server: EmbeddedServer, database: asyncpg.Connection) -> None:
        self._result = result
        self._server = server
        self._database = database
        self._turn = asyncio.Lock()

    def heard(self, where: str, text: str) -> None:
        """Look for canaries in something that was let out."""
        self._result.count("characters listened to", len(text))
        for canary in dict.fromkeys(_HEARD.findall(text)):
            self.told(where, canary)

    def told(self, where: str, canary: str) -> None:
        """Write down that somebody has told what nobody may."""
        self._result.violations.append(f"{where}: {canary}")

    async def run(
        self,
        variables: dict[str, str],
        *arguments: str,
        code: int = 0,
        saying: str = "",
        sabotage: str = "",
        on_terminal: bool = False,
        directory: Path = CHECKOUT,
        during: Callable[[Worker], Awaitable[None]] | None = None,
    ) -> Finished:
        """Run a command to its end, and `during` it what is asked for.

        Another exit code than `code`, or not `saying` this, means that its path was not the one to be listened to.
        """
        what = f"{' '.join(arguments)}, exit {code}"
        if on_terminal:
            ended = await run_on_terminal(variables, *arguments, sabotage=sabotage)
        else:
            async with running(variables, *arguments, sabotage=sabotage, directory=directory) as worker:
                listening = asyncio.create_task(self.listen(what, worker))
                if during is not None:
                    await during(worker)
                ended = await worker.end()
                await listening
        self._result.count("commands listened to")
        self.heard(f"{what}, stdout", ended.out)
        self.heard(f"{what}, stderr", ended.err)
        if ended.code != code or saying not in ended.out + ended.err:
            self._result.violations.append(f"{what}: it ended with {ended.code}: {ended.err[-300:]}")
        return ended

    async def listen(self, what: str, worker: Worker) -> None:
        """Look again and again at what others of the machine, and of the server, see of a process."""
        while worker.is_running:
            for name in ("cmdline", "environ", "comm"):
                with suppress(OSError):  # it has just ended
                    self._look(f"{what}, {name}", Path(f"/proc/{worker.pid}/{name}"))
            async with self._turn:
                rows = await self._database.fetch(
                    "SELECT application_name, query FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                )
            for row in rows:
                self.heard(f"{what}, pg_stat_activity", f"{row['application_name']} {row['query']}")
            self._result.count("looks at a process and its sessions")
            await asyncio.sleep(LISTEN_EVERY_S)

    def _look(self, where: str, path: Path) -> None:
        # Its own secret stands in the environment, for its own user and root only.
        self.heard(where, path.read_text(errors="replace").replace(f"CANVAS_CLIENT_SECRET={SECRET}", ""))

    def server_logs(self) -> None:
        """Look into whatever the warehouse's server has logged."""
        logs = sorted(find_home(self._server.directory, self._server.elsewhere).log.iterdir())
        for log in logs:
            self.heard(f"server log {log.name}", log.read_text(errors="replace"))
        self._result.count("server logs listened to", len(logs))
