"""Every error of the mirror: one flat tree, each with its exit code, for a person who has to act on it.

An error says `what` happened, what is `safe`, and what to type `next`. None of the three may hold a patient's words,
names or references: code that raises an error passes only texts that are fit for a log.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_OK = 0
EXIT_INCOMPLETE = 1
EXIT_USAGE = 2
EXIT_SOURCE = 3
EXIT_WAREHOUSE = 4
EXIT_LOCKED = 75  # EX_TEMPFAIL of sysexits.h: try again later
EXIT_SIGNAL = 130


class MirrorError(Exception):
    """Something that a person can act on."""

    exit_code: ClassVar[int] = EXIT_INCOMPLETE

    def __init__(self, what: str, *, safe: str = "", next: str = "") -> None:  # noqa: A002 - the word the user reads
        super().__init__(what)
        self.what = what
        self.safe = safe
        self.next = next

    def told(self) -> str:
        """Return the text for a person, a line each: what happened, what is safe, what to type next."""
        safe = f"\n  Safe: {self.safe}" if self.safe else ""
        return self.what + safe + (f"\n  Next: {self.next}" if self.next else "")


class SettingsError(MirrorError):
    """A setting or an argument is missing or wrong. Most are found before anything is read; others say what is safe."""

    exit_code = EXIT_USAGE

    def __init__(self, what: str, *, safe: str = "Nothing was read or written.", next: str = "") -> None:  # noqa: A002
        super().__init__(what, safe=safe, next=next)


class AccessRefused(MirrorError):
    """The source answers, but refuses our credentials (401) or scopes (403)."""

    exit_code = EXIT_USAGE


class WrongInstance(MirrorError):
    """The warehouse schema is bound to another Canvas instance."""

    exit_code = EXIT_USAGE


class SourceAway(MirrorError):
    """The source could not be reached at the start, or stayed away longer than `MIRROR_PATIENCE`."""

    exit_code = EXIT_SOURCE


class PageFailed(MirrorError):
    """One page cannot be fetched or read although the source answers. It ends its walk, not the run.

    `reason` is a word for the ledger, such as `http_500` or `not_json`. `codes` are the issue types by which the source
    itself refused the request (FHIR R4 value set issue-type): `not-found`, `forbidden` … Empty if it did not.
    """

    def __init__(self, reason: str, what: str, codes: frozenset[str] = frozenset(), *, next: str = "") -> None:  # noqa: A002
        super().__init__(what, next=next)
        self.reason = reason
        self.codes = codes


class WarehouseAway(MirrorError):
    """The warehouse could not be reached at the start, or stayed away longer than `MIRROR_PATIENCE`."""

    exit_code = EXIT_WAREHOUSE


class WarehouseRefused(MirrorError):
    """The warehouse answers, but cannot do what we asked (rights, schema, disk)."""

    exit_code = EXIT_WAREHOUSE


class WarehouseWentBack(MirrorError):
    """The warehouse holds an earlier state than this run has seen: a standby that lagged has taken over."""

    exit_code = EXIT_WAREHOUSE

    def __init__(self) -> None:
        super().__init__(
            "The warehouse has lost this run: a standby that lagged behind has taken over.",
            safe="What the standby had received is kept. What was landed after that is lost there.",
            next="Run the same command again: it lands everything that Canvas still has.",
        )


class EmbeddedServerError(MirrorError):
    """The embedded PostgreSQL cannot be set up or started here."""

    exit_code = EXIT_WAREHOUSE


class MigrationError(MirrorError):
    """The schema in the warehouse and the migrations of this version do not fit together."""

    exit_code = EXIT_WAREHOUSE


class ReaderFailed(MirrorError):
    """The process that reads large bodies cannot be started on this host."""


class RunLocked(MirrorError):
    """Another run holds the lock."""

    exit_code = EXIT_LOCKED


class LeaseLost(MirrorError):
    """Another worker got the lease on a search while it was walked. Nothing of this walk may be landed any more."""


class Interrupted(MirrorError):
    """SIGINT, SIGTERM or SIGHUP."""

    exit_code = EXIT_SIGNAL
