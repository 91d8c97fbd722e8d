"""The data dictionary, sql/DICTIONARY.md, is what the schema says of itself."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from worker.load.postgres.database import open_warehouse
from worker.load.postgres.migrations import migrate

DICTIONARY = Path(__file__).parents[2] / "sql" / "DICTIONARY.md"
HEAD = """\
# Data dictionary

Made by `make dictionary` from the comments of the schema. What to know first is in [README.md](README.md).
"""
COLUMNS = """
SELECT
    n.nspname || '.' || c.relname            AS relation,
    obj_description(c.oid, 'pg_class')       AS meaning,
    a.attname                                AS column_name,
    format_type(a.atttypid, a.atttypmod)     AS type,
    a.attnotnull                             AS required,
    col_description(c.oid, a.attnum)         AS column_meaning
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v') AND n.nspname IN ('canvas', 'canvas_ops')
ORDER BY n.nspname, c.relkind DESC, c.relname, a.attnum
"""


async def dictionary(dsn: str) -> str:
    async with open_warehouse(dsn, "canvas", timedelta(seconds=30), pool_size=1) as warehouse:
        await migrate(warehouse)
        rows = await warehouse.work(lambda connection: connection.fetch(COLUMNS))
    lines = HEAD.splitlines()
    for row in rows:
        heading = f"## {row['relation']}"
        if heading not in lines:
            lines += ["", heading, row["meaning"], "", "| column | type | meaning |", "|---|---|---|"]
        kind = row["type"].replace("timestamp with time zone", "timestamptz")
        lines.append(f"| `{row['column_name']}` | {kind} | {row['column_meaning']} |")
    return "\n".join(lines) + "\n"


async def test_the_dictionary_holds_the_schema_as_it_is(database_dsn: str) -> None:
    """`make dictionary` sets UPDATE_DICTIONARY, which writes the file instead of comparing it."""
    wanted = await dictionary(database_dsn)
    if os.environ.get("UPDATE_DICTIONARY"):
        DICTIONARY.write_text(wanted, encoding="utf-8")
        return
    assert DICTIONARY.read_text(encoding="utf-8") == wanted
