"""The SQL of the worker: named files below `sql/`, in the wheel and in a checkout alike.

The files name the schemas `canvas` and `canvas_ops`, so that they can be read and run as they stand; for another
`WAREHOUSE_SCHEMA` just these names are replaced.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
SQL_DIRECTORY = _PACKAGE / "sql" if (_PACKAGE / "sql").is_dir() else _PACKAGE.parent / "sql"
_SCHEMA_NAME = re.compile(r"\bcanvas(?=(?:_ops)?\.[a-z_])")


@cache
def statement(name: str, schema: str) -> str:
    """Return the query `sql/queries/{name}.sql` for this analysts' schema, without its trailing line end."""
    return render((SQL_DIRECTORY / "queries" / f"{name}.sql").read_text(encoding="utf-8"), schema).rstrip()


def render(sql: str, schema: str) -> str:
    """Return `sql` with its schema names replaced. `schema` is a plain lower-case name, checked in the settings."""
    return sql if schema == "canvas" else _SCHEMA_NAME.sub(schema, sql)
