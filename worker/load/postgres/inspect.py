"""Checks a warehouse's server for what would stop a run, or put patients' words into its log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from worker.errors import WarehouseRefused
from worker.load.postgres.database_errors import Away
from worker.load.postgres.dsn import is_local
from worker.load.postgres.statements import statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.load.postgres.database import Connection, Warehouse

VERSIONS = range(15, 19)
_STRONG_MODES = {"verify-full", "verify-ca"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: well (True), not (False), or worth a look (None); what it is, and what to do.

    What `may_pass` is also seen for a moment while a standby takes over.
    """

    ok: bool | None
    what: str
    next: str = ""
    may_pass: bool = False


async def inspect_server(connection: Connection) -> tuple[Finding, ...]:
    """Return findings on the server: version, encoding, whether we may write, and what its log would quote."""
    row = await connection.fetchrow(statement("check/server", "canvas"))
    return judge_server(dict(row or {}))


async def inspect_hints(connection: Connection, warehouse: Warehouse) -> tuple[Finding, ...]:
    """Return findings on possible surprises: a pooler, row security, time-outs, a changed collation."""
    row = await connection.fetchrow(warehouse.sql("check/hints"), [warehouse.schema, f"{warehouse.schema}_ops"])
    return judge_hints(dict(row or {}), is_behind_pooler=warehouse.is_behind_pooler)


def judge_hints(hints: Mapping[str, object], *, is_behind_pooler: bool) -> tuple[Finding, ...]:
    """Return findings on the columns of `check/hints` in `sql/queries`. Pure."""
    findings = []
    if is_behind_pooler:
        findings.append(
            Finding(True, "a pooler stands before the warehouse, and keeps sessions apart, as the run lock needs")
        )
    if hints["timeouts"]:
        findings.append(
            Finding(True, f"the mirror's sessions are not bound by this role's time-outs ({hints['timeouts']})")
        )
    if hints["row_security"]:
        findings.append(
            Finding(
                None,
                f"row security may hide rows from this role: {hints['row_security']}",
                "ALTER TABLE … NO FORCE ROW LEVEL SECURITY, or name the tables' owner in WAREHOUSE_DSN.",
            )
        )
    if hints["sorts_otherwise"]:
        findings.append(
            Finding(
                None,
                "the database's collation has another version than when its indexes were made",
                "REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION, as its owner.",
            )
        )
    return tuple(findings)


async def refuse_unfit(connection: Connection) -> None:
    """Raise WarehouseRefused for a server or database in which no run could end well, before anything is written.

    Raises Away if it can only be read: that is waited for, since a standby may be taking over.
    """
    for finding in await inspect_server(connection):
        if finding.ok is False:
            if finding.may_pass:
                raise Away(finding.what, next=finding.next, answers=True)
            raise WarehouseRefused(
                f"This warehouse cannot hold the mirror: {finding.what}.",
                safe="Nothing was read or written.",
                next=finding.next,
            )


async def may_migrate(connection: Connection, warehouse: Warehouse) -> bool:
    """Tell whether this role may bring the schemas up to date: as their owner, or by CREATE on the database."""
    schemas = [warehouse.schema, f"{warehouse.schema}_ops"]
    return bool(await connection.fetchval(warehouse.sql("check/rights"), schemas))


async def may_write(connection: Connection, warehouse: Warehouse) -> bool:
    """Tell whether this role may write to the tables of a schema that is up to date, as their owner or not."""
    return bool(await connection.fetchval(warehouse.sql("check/writes")))


def judge_server(server: Mapping[str, object]) -> tuple[Finding, ...]:
    """Return findings on the columns of `check/server` in `sql/queries`. Pure."""
    version = int(str(server["version_num"])) // 10_000
    findings = [
        Finding(
            version in VERSIONS or None,
            f"the warehouse answers: PostgreSQL {server['version']}",
            "" if version in VERSIONS else f"Tested are {VERSIONS.start} to {VERSIONS.stop - 1}.",
        )
    ]
    if server["encoding"] != "UTF8":
        findings.append(
            Finding(
                False,
                f"the database's encoding is {server['encoding']}",
                "Create another with ENCODING 'UTF8' TEMPLATE template0, and name it in WAREHOUSE_DSN.",
            )
        )
    if server["is_standby"]:
        findings.append(
            Finding(
                False,
                "this server is a standby, which can only be read",
                "Name the primary in WAREHOUSE_DSN.",
                may_pass=True,
            )
        )
    elif server["transaction_read_only"] == "on":
        findings.append(
            Finding(
                False,
                "transactions are read-only here (default_transaction_read_only = on)",
                "ALTER ROLE … SET default_transaction_read_only = off, or name the primary in WAREHOUSE_DSN.",
                may_pass=True,
            )
        )
    if not server["may_stage"]:
        findings.append(
            Finding(
                False,
                "this role may not create temporary tables",
                "GRANT TEMPORARY ON DATABASE … TO the writer's role.",
            )
        )
    findings += [
        Finding(None, f"the server's log may quote messages: {setting} = {server[setting]}", f"Set it to {wanted}.")
        for setting, harmless, wanted in _LOG_SETTINGS
        if str(server[setting]) not in harmless
    ]
    findings += [
        Finding(
            None,
            f"the server's log does quote messages: {setting} = {server[setting]}, with parameters",
            "Set log_parameter_max_length to 0.",
        )
        for setting, harmless in _STATEMENT_SETTINGS
        if str(server["log_parameter_max_length"]) != "0" and str(server[setting]) not in harmless
    ]
    return tuple(findings)


# Setting, the values under which no statement or parameter of ours reaches the log, and the one to recommend.
# A primary message can quote a value too: `invalid input syntax for type …: "…"`.
_LOG_SETTINGS = (
    ("log_min_messages", {"log", "fatal", "panic"}, "log"),
    ("log_min_error_statement", {"panic", "fatal"}, "panic"),
    ("log_error_verbosity", {"terse"}, "terse"),
    ("log_parameter_max_length", {"0"}, "0"),
    ("log_parameter_max_length_on_error", {"0"}, "0"),
    # A plan names values whatever else is set; of a module that is not loaded there is no setting.
    ("auto_explain.log_min_duration", {"-1", "", "None"}, "-1 for this role"),
    ("pgaudit.log_parameter", {"off", "", "None"}, "off for this role"),
)
# What writes statements into the log, and with them their parameters unless those are cut to nothing; of ours the
# statements alone say nothing of a message.
_STATEMENT_SETTINGS = (
    ("log_statement", {"none", "ddl"}),
    ("log_min_duration_statement", {"-1"}),
    ("log_min_duration_sample", {"-1"}),
    ("log_transaction_sample_rate", {"0"}),
)


def weak_transport(dsn: str) -> tuple[Finding, ...]:
    """Return a finding if the DSN names an `sslmode` under which somebody else could pose as the server. Pure."""
    mode = parse_qs(urlsplit(dsn).query).get("sslmode", ["verify-full"])[-1]
    if is_local(dsn) or mode in _STRONG_MODES:
        return ()
    return (
        Finding(
            None,
            f"the connection to the warehouse is not verified: sslmode={mode}",
            "Leave sslmode out, or name verify-full.",
        ),
    )
