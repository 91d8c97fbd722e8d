"""What a person reads when a server is given up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.errors import SettingsError, SourceAway
from worker.extract.answers import Means
from worker.extract.patience import CERTIFICATE

if TYPE_CHECKING:
    from worker.extract.patience import Failure
    from worker.extract.server import Server

_SAFE = "What was landed is kept; searches that were not read to their end will be read again."
_HINTS = {
    "tls": "It does not complete a TLS handshake: is the port an https one?",
    "proxy": "The proxy in between refuses: check HTTPS_PROXY and NO_PROXY.",
    "unknown_host": "Its host name is not known here.",
    "not_http": "What answers does not speak HTTP.",
}


def source_away(server: Server, failure: Failure, attempts: int, seconds: float) -> SourceAway | SettingsError:
    """Return the error for a server that is given up after `attempts` in `seconds`. `failure` is the last failure.

    A server that is not trusted is not away. Neither is one in whose place something else answered from the start,
    because waiting does not correct a wrong URL.
    """
    if failure.reason == CERTIFICATE:
        return _not_trusted(server, failure)
    tried = f"{attempts} attempts in {seconds:.0f} s"
    met = server.reach.last_answer is not None
    if not met and server.reach.only_strangers:
        return SettingsError(
            f"What answers at {server.setting} is {_stranger(failure)}, and not {server.speaks}: {tried}.",
            safe="No run was begun.",
            next=f"A wrong URL, or maintenance: check {server.setting}, and run the same command again later.",
        )
    if failure.retry_after_s:
        return SourceAway(
            f"{server.name} asks to be left alone for {failure.retry_after_s:.0f} s ({failure.reason}), longer than"
            " MIRROR_PATIENCE has left.",
            safe=_SAFE,
            next=f"Wait {failure.retry_after_s:.0f} s, then run the same command again. If it comes again: set or lower"
            " MIRROR_RATE.",
        )
    what = f"{server.name} {'stayed away' if met else 'could not be reached'}: {tried}, the last: {failure.reason}."
    return SourceAway(f"{what} {_hint(failure)}".rstrip(), safe=_SAFE, next=_next(server, failure))


def _not_trusted(server: Server, failure: Failure) -> SettingsError:
    return SettingsError(
        f"{server.name}'s certificate is not trusted{f': {failure.detail}' if failure.detail else ''}.",
        safe="Nothing was sent to it. What had been landed is kept.",
        next=f"Check {server.setting}; for a private authority set MIRROR_CA_FILE to its PEM file.",
    )


def _stranger(failure: Failure) -> str:
    if failure.is_web_page:
        return f"a web page ({failure.status_code}), such as a login page or a notice of maintenance"
    if failure.reason == "redirect":
        return f"a redirect to somewhere else ({failure.status_code})"
    return f"something else ({failure.status_code})"


def _hint(failure: Failure) -> str:
    if failure.means is Means.AWAY:
        return f"In its place answers {_stranger(failure)}."
    if failure.status_code == 200:
        return "It answers, but with nothing that can be used: is it being maintained?"
    return _HINTS.get(failure.reason, "")


def _next(server: Server, failure: Failure) -> str:
    again = "then run the same command again"
    if failure.means is Means.AWAY:
        return (
            f"Wait until whatever stands in between (a firewall, maintenance) lets us through, {again}."
            " If it comes again: set or lower MIRROR_RATE and MIRROR_CONCURRENCY."
        )
    if failure.means is Means.SLOW_DOWN:
        return f"Wait, {again}. If it comes again: set or lower MIRROR_RATE, and check {server.setting}."
    return f"Check {server.setting} and the network, {again}."
