"""Runs one proof in its full form: `python -m tests.faults PART [--seed N] [--size small|full]` (`make proof`).

A part is a module of this package with `async def run(size: Size, seed: int, server_url: str) -> ProofResult`;
`server_url` is a PostgreSQL of this process's own, in which it may make databases.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import QUICK
from tests.faults.proof import be_quiet, print_result
from worker.load.embedded import EmbeddedServer

if TYPE_CHECKING:
    from tests.faults.proof import ProofResult


def main() -> int:
    """Run the part that the arguments name, print what came of it, and return 1 if anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    arguments = parser.parse_args()
    # Otherwise the server would outlive this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    part = import_module(f"tests.faults.{arguments.part}")
    be_quiet()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="message-mirror-proof-") as directory:
        Path(directory).chmod(0o711)  # the account that root's server runs as must pass
        server = EmbeddedServer(Path(directory, "server"), elsewhere=Path(directory, "elsewhere"), extra_settings=QUICK)
        try:
            result: ProofResult = asyncio.run(part.run(arguments.size, arguments.seed, server.start()))
        finally:
            server.remove()
    print_result(result, time.monotonic() - began, sys.stdout)
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
