"""The small form of the proof `canary`, and that its ears hear what they are there for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.canary import PATHS, open_stage, take
from tests.faults.canary_ears import MARK
from tests.faults.canary_faults import RAISES, SPEAKING_TRIGGER, SPEAKS_ASIDE
from tests.faults.outages import embedded_server
from tests.faults.proof import ProofResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.canary import Path
    from worker.load.embedded import EmbeddedServer

pytestmark = pytest.mark.proof  # by `make test-proofs`

SEED = 1

LOGS_A_BODY = """
from worker import telemetry
from worker.jobs.run import derive
to_messages = derive.to_messages

def logging(communications, rules, read):
    telemetry.get_logger().info("landed", body=repr([one.payloads for one in communications]))
    return to_messages(communications, rules, read)

derive.to_messages = logging
"""
NO_ALLOW_LIST = "from worker import telemetry; telemetry.keep_allowed_fields = lambda *event: event[-1]\n"
WORDS_OF_ERRORS = 'from worker import telemetry; telemetry.where = lambda error: f"{error}"\n'
INTERPRETER_SPEAKS = "from worker import telemetry; telemetry.withhold_unhandled = lambda: None\n"
WORDS_OF_THE_SERVER = """
from worker.errors import WarehouseRefused
from worker.load.postgres import database_errors
database_errors.refused = lambda error: WarehouseRefused(f"The warehouse refused: {error}")
"""
WORDS_IN_A_NAME = f"""
from worker.load.postgres import lock
lock.HeldLock.__init__.__globals__["socket"].gethostname = lambda: "{MARK}"
"""
TALKATIVE = {
    "log_min_messages": "warning",
    "log_min_error_statement": "error",
    "log_error_verbosity": "default",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """Give an embedded server to all of them."""
    with embedded_server() as server:
        yield server


@pytest.mark.parametrize("path", PATHS)
async def test_patients_words_stay_in_the_tables(path: Path, server: EmbeddedServer) -> None:
    """Good days, quarantine, signals, faults of source and warehouse, defects, the service: nothing gets out."""
    result = ProofResult("canary", SEED)
    await take(path, server, result, SEED)
    assert result.violations == []


@pytest.mark.parametrize(
    ("sabotage", "code", "where"),
    [
        (NO_ALLOW_LIST + LOGS_A_BODY, 0, "stderr"),
        (WORDS_OF_ERRORS + RAISES, 1, "stderr"),
        (INTERPRETER_SPEAKS + SPEAKS_ASIDE, 0, "stderr"),
        (WORDS_IN_A_NAME, 0, "pg_stat_activity"),
    ],
)
async def test_the_ears_hear(sabotage: str, code: int, where: str, server: EmbeddedServer) -> None:
    """Sabotages: a log without allow-list, an error's own words, the interpreter's, a name in the server's list."""
    result = ProofResult("canary", SEED)
    async with open_stage(server, result) as stage:
        stage.change(where)
        await stage.ears.run(stage.variables(), "sync", code=code, sabotage=sabotage)
    assert any(where in one and MARK in one for one in result.violations)


async def test_the_allow_list_keeps_a_careless_line_clean(server: EmbeddedServer) -> None:
    """The same careless log line as above says nothing while the allow-list is there."""
    result = ProofResult("canary", SEED)
    async with open_stage(server, result) as stage:
        stage.change("careless")
        ended = await stage.ears.run(stage.variables(), "sync", sabotage=LOGS_A_BODY)
    assert "landed" in ended.err
    assert result.violations == []


async def test_the_ears_hear_arguments(server: EmbeddedServer) -> None:
    """A patient on the command line would be seen by every user of the machine."""
    result = ProofResult("canary", SEED)
    async with open_stage(server, result) as stage:
        await stage.ears.run(stage.variables(), "backfill", "--id", f"{MARK}message")
    assert any("cmdline" in one for one in result.violations)


async def test_the_ears_hear_the_warehouse() -> None:
    """Sabotages: an error that quotes the server's, and a server that logs statements with their parameters."""
    result = ProofResult("canary", SEED)
    with embedded_server() as server:
        server.extra_settings |= TALKATIVE
        async with open_stage(server, result) as stage:
            await stage.ears.run(stage.variables(), "migrate")
            await stage.database.execute(SPEAKING_TRIGGER)
            for setting in ("canary.sleep_s = 0", "canary.sqlstate = '53100'"):
                await stage.database.execute(f"ALTER DATABASE canvas SET {setting}")
            await stage.ears.run(stage.variables(), "sync", code=4)
            assert result.violations == []
            await stage.ears.run(stage.variables(), "sync", code=4, sabotage=WORDS_OF_THE_SERVER)
            assert any("stderr" in one for one in result.violations)
            stage.ears.server_logs()
            assert any("server log" in one for one in result.violations)
