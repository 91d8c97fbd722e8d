"""The one place where the driver's failures become ours: what is tried again, and what a person reads.

Only SQLSTATE, table and constraint of a database error get through. Its message and details may quote values.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from worker.errors import MirrorError, SettingsError, WarehouseRefused
from worker.load.postgres.sqlstates import Then, meaning_of
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

# Failures of the connection, after which the same unit of work is tried again. What a server reports is in `sqlstates`.
AWAY = (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# While connecting: no setting of that name, none that a client may set, or not to that value.
_NO_SETTING = (asyncpg.UndefinedObjectError, asyncpg.CantChangeRuntimeParamError, asyncpg.InvalidParameterValueError)
# PgBouncer's words while connecting.
_WORDS_OF_A_POOLER = {
    "unsupported startup parameter": asyncpg.ClientConfigurationError,
    "authentication failed": asyncpg.InvalidPasswordError,
    "no such user": asyncpg.InvalidAuthorizationSpecificationError,
    "no such database": asyncpg.InvalidCatalogNameError,
    "does not exist": asyncpg.InvalidCatalogNameError,
}
# Classes of SQLSTATE with which a connection is refused: who asks for it, and the name of the database.
_NOT_LET_IN = {"28", "3D"}
# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL.
_ANOTHER_NAME = {62, 64}
_ONLY_ASKED_FOR_TLS = "Nothing was sent to it but the wish to speak TLS. What had been committed is kept."
_ROLLED_BACK = "The transaction was rolled back: nothing is half-written."


class Away(Exception):
    """The warehouse is away for the moment. It says what happened in plain words, never the driver's.

    `next` is what to do about it, if checking the server is not enough. With `final`, one more attempt is made, and
    then `final` is raised.
    `answers` means that the server answers, but cannot be used.
    """

    def __init__(self, what: str, *, next: str = "", final: MirrorError | None = None, answers: bool = False) -> None:  # noqa: A002 - as in errors
        super().__init__(what)
        self.next = next
        self.final = final
        self.answers = answers


class RowRefused(WarehouseRefused):
    """The server refuses a row, and may accept the others of its batch."""


async def connected(**arguments: Any) -> asyncpg.Connection:
    """Connect as `asyncpg.connect` does. Raises ClientConfigurationError for a setting that the server will not have.

    The driver sends parameters of a URL that it does not know to the server, as settings. A pooler may refuse any of
    them. It reports every fault by one SQLSTATE, so its words are read, but not passed on.
    """
    try:
        return await asyncpg.connect(**arguments)
    except _NO_SETTING:
        raise asyncpg.ClientConfigurationError("a setting") from None
    except asyncpg.ProtocolViolationError as error:
        for words, meant in _WORDS_OF_A_POOLER.items():
            if words in str(error):
                raise meant("said by a pooler") from None
        raise


@contextmanager
def mapped(*, can_do_without_tls: bool) -> Iterator[None]:
    """Map the driver's exceptions to ours, once, at this boundary. Only SQLSTATE, table and constraint get through.

    `can_do_without_tls` is whether a PostgreSQL without TLS would be accepted. Raises Away for what is worth another
    try, SettingsError or WarehouseRefused for what is not, and everything else as it is.
    """
    try:
        yield
    except MirrorError:
        raise
    except Exception as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # A cancelled task may fail to roll back. That is no reason to try again.
            raise asyncio.CancelledError from None
        meant = _meant(error, can_do_without_tls=can_do_without_tls)
        if meant is None:
            raise
        raise meant from None


def _meant(error: Exception, *, can_do_without_tls: bool) -> Away | SettingsError | WarehouseRefused | None:
    """Return what a failure of the driver means, None for any other."""
    if isinstance(error, PermissionError):
        return _closed_to_us(error)
    if isinstance(error, asyncpg.ClientConfigurationError):
        return _not_configured()
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_trusted(error)
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):  # asyncpg has no type for it
        return _not_postgresql() if can_do_without_tls else _without_tls()
    if isinstance(error, asyncpg.PostgresError):
        return _reported(error)
    return Away(_plainly(error)) if isinstance(error, AWAY) else None


def _reported(error: asyncpg.PostgresError) -> Away | SettingsError | WarehouseRefused:
    """Return what a failure that the server reported means, by the table of SQLSTATEs."""
    meaning = meaning_of(error)
    if meaning.then is Then.WAIT:
        return Away(meaning.what, next=meaning.next)
    if meaning.then is Then.ONCE_MORE:
        return Away(f"SQLSTATE {error.sqlstate}", final=refused(error))
    return refused(error)


def _closed_to_us(error: PermissionError) -> WarehouseRefused:
    """Say which file or socket of ours this user may not open; waiting would not help."""
    return WarehouseRefused(
        f"Connecting to the warehouse needs {error.filename or 'its socket'}, which this user may not open.",
        safe="Nothing was read or written.",
        next="Run as a user who may. If it is a certificate below HOME: set HOME to a directory this user can read,"
        " or name sslrootcert, sslcert and sslkey in WAREHOUSE_DSN.",
    )


def _plainly(error: Exception) -> str:
    """Say what kind of failure it is in words for a person; its own may hold names and values."""
    if isinstance(error, socket.gaierror):
        return "its host name is not known here"
    # With several addresses asyncio puts the failures into the text of one plain OSError.
    if isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return "nothing listens at its host and port"
    if isinstance(error, FileNotFoundError):
        return "no server's socket is there"
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "no server that WAREHOUSE_DSN names is of the kind that target_session_attrs asks for"
    return type(error).__name__


def _not_trusted(error: ssl.SSLCertVerificationError) -> SettingsError:
    """Say why TLS ends before it begins, in OpenSSL's words, without the host name: it may be a piece of a password."""
    if error.verify_code in _ANOTHER_NAME:
        return SettingsError(
            "The warehouse's certificate is of a trusted authority, and names another host than WAREHOUSE_DSN.",
            safe=_ONLY_ASKED_FOR_TLS,
            next="Name the host as the certificate does. If it names none (Cloud SQL's): sslmode=verify-ca in"
            " WAREHOUSE_DSN, with the PEM file of that server's own authority as sslrootcert.",
        )
    return SettingsError(
        f"The warehouse's certificate is not trusted: {error.verify_message.partition(',')[0]}.",
        safe=_ONLY_ASKED_FOR_TLS,
        next="Name its authority's PEM file as sslrootcert in WAREHOUSE_DSN, and the host as the certificate does.",
    )


def _without_tls() -> SettingsError:
    return SettingsError(
        "The warehouse's server does not speak TLS, which is asked for beyond this machine or by sslmode.",
        safe=_ONLY_ASKED_FOR_TLS,
        next="Switch TLS on at the server (ssl = on). Only on a network that is yours alone: sslmode=disable in"
        " WAREHOUSE_DSN.",
    )


def _not_postgresql() -> SettingsError:
    return SettingsError(
        "What listens at the host and port of WAREHOUSE_DSN is not PostgreSQL.",
        safe=_ONLY_ASKED_FOR_TLS,
        next="Check the port in WAREHOUSE_DSN.",
    )


def _not_configured() -> SettingsError:
    return SettingsError(
        "What WAREHOUSE_DSN or a PG… variable asks of the connection cannot be done.",
        safe="Nothing was read or written.",
        next="Check the parameters of WAREHOUSE_DSN, the files they name, and the PG… variables of this environment. A"
        " pooler takes no other parameters than those it knows (PgBouncer: ignore_startup_parameters).",
    )


def refused(error: asyncpg.PostgresError) -> WarehouseRefused | SettingsError:
    """Say what the server said without its values: SQLSTATE, and table and constraint if it named them."""
    sqlstate = error.sqlstate or ""
    meaning = meaning_of(error)
    if sqlstate[:2] not in _NOT_LET_IN:  # no statement; serve asks again every few seconds, and says so once
        get_logger().error(
            "the warehouse refused a statement",
            sqlstate=sqlstate,
            table=error.table_name,
            constraint=error.constraint_name,
            error=type(error).__name__,
        )
    by_row = RowRefused if meaning.then is Then.SET_ASIDE else WarehouseRefused
    kind = SettingsError if sqlstate.startswith("28") else by_row
    return kind(
        f"The warehouse refused: SQLSTATE {sqlstate} ({type(error).__name__})"
        + (f", table {error.table_name}" if error.table_name else "")
        + (f", constraint {error.constraint_name}" if error.constraint_name else "")
        + "."
        + (f" {meaning.what}" if meaning.what else ""),
        safe=_ROLLED_BACK,
        next=meaning.next,
    )
