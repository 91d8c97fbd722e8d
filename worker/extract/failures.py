"""What is told to a person when a server is given up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.errors import SourceAway
from worker.extract.pace import CERTIFICATE

if TYPE_CHECKING:
    from worker.extract.connection import Server
    from worker.extract.pace import Failure

_HINTS = {
    "tls": "It does not complete a TLS handshake: is the port an https one?",
    "proxy": "The proxy in between refuses: check HTTPS_PROXY and NO_PROXY.",
    "unknown_host": "Its host name is not known here.",
    "not_http": "What answers does not speak HTTP.",
}


def source_away(server: Server, failure: Failure, attempts: int, seconds: float) -> SourceAway:
    """Return the error for a server that is given up after so many attempts in so many seconds, `failure` the last."""
    if failure.reason == CERTIFICATE:
        return SourceAway(
            f"{server.name}'s certificate is not trusted.",
            safe="Nothing was sent to it.",
            next=f"Check {server.setting}; for a private authority set MIRROR_CA_FILE to its PEM file.",
        )
    hint = _HINTS.get(failure.reason, "")
    if failure.status_code == 200:
        hint = "It answers, but with nothing that can be used: is it being maintained?"
    if failure.retry_after_s:
        hint = f"It asks to be left alone for {failure.retry_after_s:.0f} s."
    met = "stayed away" if server.reach.last_answer is not None else "could not be reached"
    what = f"{server.name} {met}: {attempts} attempts in {seconds:.0f} s, the last: {failure.reason}. {hint}"
    return SourceAway(
        what.rstrip(),
        safe="What was landed is kept; searches that were not read to their end will be read again.",
        next=f"Check {server.setting} and the network, then run the same command again.",
    )
