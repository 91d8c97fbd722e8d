"""The one table of SQLSTATEs: what each means, in words for a person, and what the worker does about it.

PostgreSQL's manual, appendix A, has the codes. The table is looked up by the whole code first, then by its class (the
first two characters).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg


class Then(Enum):
    """What the worker does about a failure."""

    WAIT = auto()
    """Try again until `MIRROR_PATIENCE` ends."""
    ONCE_MORE = auto()
    """Try again once, with what WAREHOUSE_DSN says now."""
    SET_ASIDE = auto()
    """The server refuses a row: it goes to quarantine, and the rest of its batch lands. Elsewhere, END."""
    END = auto()
    """End the command."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a SQLSTATE means: what to do, what happened (empty if the code says it), and what a person does next."""

    then: Then
    what: str = ""
    next: str = ""


MORE_CONNECTIONS = (
    "Give the role more connections (ALTER ROLE … CONNECTION LIMIT), or the server (max_connections), or the pooler"
    " (default_pool_size); deploy/runbook/connections.md says how many it needs. Then run the same command again."
)
SESSION_MODE = (
    "Name the server itself in WAREHOUSE_DSN, or a pooler in session mode (PgBouncer: pool_mode = session). Then the"
    " same command again."
)
TRANSACTION_POOLER = (
    "A transaction pooler stands before the warehouse: its sessions change between transactions, and the run lock would"
    " not hold there"
)
_OWNER = "Check that this role owns the schemas, and that they are up to date (`message-mirror migrate`)."
_MANUAL = "Look the SQLSTATE up in PostgreSQL's manual (appendix A), correct it there, then run the same command again."
_THEN_AGAIN = "then run the same command again."
_BY_AN_ANALYST = (
    "An index, constraint, generated column or trigger that was added to the mirror's tables refuses it: the log names"
    " it, or those it may be. Drop or correct it, " + _THEN_AGAIN
)
_NO_ROOM = f"Make room on the server's disk, {_THEN_AGAIN}"
_DAMAGED = f"Restore from a backup, or have the server's administrator look at its disk and log, {_THEN_AGAIN}"
_SHARED_MEMORY = (
    "Give the server more shared memory (docker: --shm-size=256m), or set dynamic_shared_memory_type = mmap there."
    f" If it was removed: RemoveIPC=no in logind.conf. Restart the server, {_THEN_AGAIN}"
    " The embedded server: `message-mirror warehouse stop` first."
)

MEANINGS = {
    "08": Meaning(Then.WAIT, "the connection was lost"),
    "0A": Meaning(Then.END, next=_MANUAL),
    "22": Meaning(Then.SET_ASIDE, "A row has a value that the server does not take.", _BY_AN_ANALYST),
    "23": Meaning(Then.SET_ASIDE, "A row violates a constraint.", _BY_AN_ANALYST),
    "25006": Meaning(Then.WAIT, "it can only be read for the moment, as while a standby takes over"),
    "25P03": Meaning(Then.WAIT, "it ended a transaction that stood idle"),
    "25P04": Meaning(Then.WAIT, "it ended a transaction that took too long"),
    "26": Meaning(Then.END, TRANSACTION_POOLER + ".", SESSION_MODE),
    "28": Meaning(
        Then.ONCE_MORE,
        next="Check user and password in WAREHOUSE_DSN, and the server's pg_hba.conf. A .pgpass file is passed over"
        " unless it is its owner's alone (chmod 0600).",
    ),
    "38": Meaning(Then.SET_ASIDE, "A function that was called for a row failed.", _BY_AN_ANALYST),
    "39": Meaning(Then.SET_ASIDE, "A function that was called for a row failed.", _BY_AN_ANALYST),
    "3D": Meaning(Then.END, next="Create the database that WAREHOUSE_DSN names, or name another."),
    "3F000": Meaning(Then.END, next=_OWNER),
    "40": Meaning(Then.WAIT, "another session was in the way"),
    "42501": Meaning(
        Then.END,
        "This role may not do that there.",
        "Make this role the owner of both schemas, as deploy/postgresql/1-roles.sql does, and put no row security on"
        " their tables.",
    ),
    "42P01": Meaning(Then.END, next=_OWNER),
    "42P05": Meaning(Then.END, TRANSACTION_POOLER + ".", SESSION_MODE),
    "53": Meaning(Then.END, next=f"Give the server more room (disk, memory, connections), {_THEN_AGAIN}"),
    "53100": Meaning(Then.END, "The server's disk is full.", _NO_ROOM),
    "53200": Meaning(Then.END, "The server is out of memory.", f"Give the server more memory, {_THEN_AGAIN}"),
    "53300": Meaning(Then.WAIT, "it has no connection left for this role", MORE_CONNECTIONS),
    "54": Meaning(Then.SET_ASIDE, "A row is more than an index or a limit of the server takes.", _BY_AN_ANALYST),
    "55P03": Meaning(
        Then.END,
        "A table or view stays locked.",
        f"Somebody's open transaction keeps it so. End it (pg_stat_activity shows it), {_THEN_AGAIN}",
    ),
    "57": Meaning(Then.WAIT, "it is stopping, starting, or has ended this session"),
    "57014": Meaning(
        Then.ONCE_MORE,
        "A statement was cancelled, twice: by somebody (pg_cancel_backend), or by a time-out of the server's.",
        f"Ask whoever runs the server what cancels statements of this role, {_THEN_AGAIN}",
    ),
    "57P04": Meaning(Then.END, next="Create the database that WAREHOUSE_DSN names, or name another."),
    "58": Meaning(Then.END, "The server has trouble with its files.", _DAMAGED),
    "P0": Meaning(Then.SET_ASIDE, "A trigger refuses a row.", _BY_AN_ANALYST),
    "XX": Meaning(Then.END, "The server has trouble of its own.", _DAMAGED),
    "XX001": Meaning(Then.END, "The server's data are damaged.", _DAMAGED),
    "XX002": Meaning(Then.END, "An index at the server is damaged.", f"REINDEX it, {_THEN_AGAIN}"),
}
_UNKNOWN = Meaning(Then.END, next=_MANUAL)
# The server reports missing shared memory as a full disk, or as a missing file.
_MAKES_SHARED_MEMORY = "dsm_impl.c"
_NO_SHARED_MEMORY = Meaning(Then.END, "The server has no shared memory left, or it was removed.", _SHARED_MEMORY)
# A statement was prepared before somebody changed a table.
_PREPARED_BEFORE = "InvalidCachedStatementError"
_CHANGED_TABLE = Meaning(Then.WAIT, "a table was changed meanwhile")


def meaning_of(error: asyncpg.PostgresError) -> Meaning:
    """Return what a failure that the server reported means. Pure. It ignores the message, which may hold values."""
    sqlstate = error.sqlstate or ""
    if error.server_source_filename == _MAKES_SHARED_MEMORY:
        return _NO_SHARED_MEMORY
    if type(error).__name__ == _PREPARED_BEFORE:
        return _CHANGED_TABLE
    return MEANINGS.get(sqlstate) or MEANINGS.get(sqlstate[:2], _UNKNOWN)
