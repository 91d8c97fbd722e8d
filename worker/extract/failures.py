"""What is told to a person when a server is given up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.errors import SettingsError, SourceAway
from worker.extract.pace import CERTIFICATE

if TYPE_CHECKING:
    from worker.extract.connection import Server
    from worker.extract.pace import Failure

_SAFE = "What was landed is kept; searches that were not read to their end will be read again."
_HINTS = {
    "tls": "It does not complete a TLS handshake: is the port an https one?",
    "proxy": "The proxy in between refuses: check HTTPS_PROXY and NO_PROXY.",
    "unknown_host": "Its host name is not known here.",
    "not_http": "What answers does not speak HTTP.",
}


def source_away(server: Server, failure: Failure, attempts: int, seconds: float) -> SourceAway | SettingsError:
    """Return the error for a server that is given up after so many attempts in so many seconds, `failure` the last.

    One that is not trusted is not away: no waiting mends it.
    """
    if failure.reason == CERTIFICATE:
        return SettingsError(
            f"{server.name}'s certificate is not trusted.",
            safe="Nothing was sent to it. What had been landed is kept.",
            next=f"Check {server.setting}; for a private authority set MIRROR_CA_FILE to its PEM file.",
        )
    hint = _HINTS.get(failure.reason, "")
    if failure.status_code == 200:
        hint = "It answers, but with nothing that can be used: is it being maintained?"
    if failure.retry_after_s:
        return SourceAway(
            f"{server.name} asks to be left alone for {failure.retry_after_s:.0f} s ({failure.reason}), longer than"
            " MIRROR_PATIENCE has left.",
            safe=_SAFE,
            next=f"Wait {failure.retry_after_s:.0f} s, then run the same command again. If it comes again: set or lower"
            " MIRROR_RATE.",
        )
    met = "stayed away" if server.reach.last_answer is not None else "could not be reached"
    what = f"{server.name} {met}: {attempts} attempts in {seconds:.0f} s, the last: {failure.reason}. {hint}"
    return SourceAway(
        what.rstrip(),
        safe=_SAFE,
        next=f"Check {server.setting} and the network, then run the same command again.",
    )
