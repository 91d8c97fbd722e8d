"""An unreliable source to try a command on: `python -m tests.faults.unreliable [SEED]` (then as the sandbox)."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from tests.faults.script import Faults, SeededScript
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer, serve_forever


def main(seed: int) -> None:
    """Serve a small clinic on a free port until Ctrl-C; one request in twenty meets a fault."""
    clinic = make_clinic(messages=50, practitioners=4, patients=10)
    faults = Faults(clinic, seed=seed, script=SeededScript(seed))
    with suppress(KeyboardInterrupt):
        asyncio.run(serve_forever(SandboxServer(clinic, middlewares=[faults.middleware]), port=0))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
