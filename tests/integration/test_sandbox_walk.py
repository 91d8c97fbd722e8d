"""The first walk of worker/sandbox/README.md does what it says, typed into a shell; and sandboxes do not mix."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.faults.script import Faults, Script
from tests.integration.mirroring import CHECKOUT, environment, run_command
from tests.integration.verdicts import assert_told
from worker.errors import EXIT_OK, EXIT_USAGE
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    import asyncpg

SANDBOX_README = (CHECKOUT / "worker" / "sandbox" / "README.md").read_text(encoding="utf-8")


def clinic_of_the_walk() -> Any:
    return make_clinic(messages=500, practitioners=60, patients=2000, seed=1, edition="current")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the walk is typed with curl")
async def test_the_first_walk_does_what_it_says(database_dsn: str, database: asyncpg.Connection) -> None:
    (script,) = re.findall(r"```sh\n(.*?)```", SANDBOX_README, re.DOTALL)
    async with SandboxServer(clinic_of_the_walk()) as server:
        script = script.replace("http://127.0.0.1:8090", server.url).replace("WAREHOUSE_DIR=.warehouse-sandbox", "")
        process = await asyncio.create_subprocess_exec(
            *("sh", "-ec", script),
            env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "WAREHOUSE_DSN": database_dsn},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = (said.decode() for said in await process.communicate())
    assert process.returncode == EXIT_OK, err
    served = re.findall(r"  messages    (.*) unchanged", out)
    assert served == [
        "500 served: 500 new, 0 changed, 0",
        "501 served: 1 new, 0 changed, 500",
        "501 served: 0 new, 1 changed, 500",
        "500 served: 0 new, 0 changed, 500",
    ]
    assert "1 marked as deleted" in out
    deleted = await database.fetch("SELECT body_text FROM canvas.message WHERE _deleted_at IS NOT NULL")
    assert [row["body_text"] for row in deleted] == ["Never mind."]


async def test_the_sandboxes_own_endpoints_refuse_what_cannot_be() -> None:
    clinic = make_clinic(messages=10, practitioners=2, patients=3)
    known, body = next(iter(clinic))["id"], {"status": "unknown"}
    away = Faults(clinic, script=Script(lasting=((1, "unavailable"),)))  # which these endpoints do not meet
    async with (
        SandboxServer(clinic, middlewares=[away.middleware]) as server,
        aiohttp.ClientSession(base_url=f"{server.url}/sandbox/") as http,
    ):
        for method, message_id, json, status in (
            ("PATCH", known, body, 200),
            ("PATCH", known, {"id": "another"}, 400),
            ("PATCH", known, ["status"], 400),
            ("PATCH", "no-such-message", body, 404),
            ("DELETE", "no-such-message", None, 404),
            ("DELETE", known, None, 204),
            ("DELETE", known, None, 404),
            ("GET", known, None, 405),
        ):
            async with http.request(method, f"Communication/{message_id}", json=json) as answer:
                assert (method, message_id, json, answer.status) == (method, message_id, json, status)


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"messages": 51}, {"practitioners": 4}, {"patients": 9}, {"edition": "seed"}], ids=str
)
def test_every_clinic_has_an_instance_of_its_own(other: dict[str, Any]) -> None:
    sizes: dict[str, Any] = {"messages": 50, "practitioners": 3, "patients": 8, "seed": 1, "edition": "current"}
    assert make_clinic(**sizes).instance == make_clinic(**sizes).instance == "sandbox-current-50-3-8-1"
    assert make_clinic(**sizes | other).instance != make_clinic(**sizes).instance


async def test_two_sandboxes_do_not_mix(database_dsn: str, database: asyncpg.Connection) -> None:
    """The instance that each prints keeps the second clinic out; the advice says so to whoever did not export it."""

    async def synced(seed: int, **exported: str) -> Any:
        async with SandboxServer(make_clinic(messages=50, practitioners=3, patients=8, seed=seed)) as server:
            if exported.get("CANVAS_INSTANCE") == "printed":
                exported = {"CANVAS_INSTANCE": server.clinic.instance}
            return await run_command(environment(server.url, database_dsn, **exported), "sync")

    assert (await synced(1, CANVAS_INSTANCE="printed")).code == EXIT_OK
    for exported in ({"CANVAS_INSTANCE": "printed"}, {}):
        second = await synced(2, **exported)
        assert_told(second, EXIT_USAGE, "sandbox-seed-50-3-8-1", "prints the CANVAS_INSTANCE", "WAREHOUSE_SCHEMA")
        assert "--accept-deletions" not in second.out + second.err
    assert await database.fetchval("SELECT count(*) FROM canvas.live_message") == 50


async def test_what_the_demo_and_the_sandbox_serve_is_the_same_clinic() -> None:
    """By default: whoever goes on from the one to the other meets the same messages."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "sandbox", "--port", "0"),
        env={"PATH": os.environ["PATH"]},
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        line = await process.stdout.readline()
        assert line, "it ended before it began"
        said += line.decode()
    process.terminate()
    await process.communicate()
    assert "  export CANVAS_INSTANCE=sandbox-current-20000-60-2000-1\n" in said
