"""The SQL of the worker: named statements in `sql/queries/`, one file a stage, in the wheel and in a checkout alike.

The files name the schemas `canvas` and `canvas_ops`, so that they can be read and run as they are. For another
`WAREHOUSE_SCHEMA` only these names are replaced.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]
SQL_DIRECTORY = _PACKAGE / "sql" if (_PACKAGE / "sql").is_dir() else _PACKAGE.parent / "sql"
_SCHEMA_NAME = re.compile(r"\bcanvas(?=(?:_ops)?\.[a-z_])")
_STATEMENT = re.compile(r"^-- name: (.*)$\n", re.MULTILINE)


@cache
def statement(name: str, schema: str) -> str:
    """Return the statement `file/name` (`-- name: name` in `sql/queries/file.sql`) for this analysts' schema.

    Its comments are kept; its closing semicolon is not. Raises LookupError for a name that is not there or there twice.
    """
    file, _, called = name.partition("/")
    path = SQL_DIRECTORY / "queries" / f"{file}.sql"
    found = [text for other, text in statements(path) if other == called] if path.is_file() else []
    if len(found) != 1:
        raise LookupError(f"{len(found)} statements are called {called} in sql/queries/{file}.sql")
    return render(found[0], schema)


def statements(path: Path) -> list[tuple[str, str]]:
    """Return the names and the texts of a file's statements, in its order."""
    parts = iter(_STATEMENT.split(path.read_text(encoding="utf-8"))[1:])
    return [(name, text.rstrip().removesuffix(";")) for name, text in zip(parts, parts, strict=True)]


def render(sql: str, schema: str) -> str:
    """Return `sql` with its schema names replaced. `schema` is a plain lower-case name, checked in the settings."""
    return sql if schema == "canvas" else _SCHEMA_NAME.sub(schema, sql)
