"""An empty database and one that was brought up to date by migrations have the same schema."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.worlds import fresh_database
from worker.load.postgres import migrations as migrate_module
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.migrations import migrate
from worker.load.postgres.statements import SQL_DIRECTORY

if TYPE_CHECKING:
    from worker.load.postgres.database import Connection

# schema.sql as it was before the first migration. Who writes that one makes this file: git show HEAD:sql/schema.sql.
BEFORE = Path(__file__).parent / "schema_before_migrations.sql"
DESCRIPTION = """
SELECT
    'table'                                                                         AS kind,
    c.oid::regclass::text                                                           AS name,
    c.relkind::text || c.relpersistence::text || coalesce(c.reloptions::text, '')   AS what,
    obj_description(c.oid, 'pg_class')                                              AS comment
FROM pg_class AS c
WHERE c.relnamespace = ANY ($1::regnamespace[]) AND c.relkind IN ('r', 'v', 'S', 'c')
UNION ALL
SELECT
    'column',
    c.oid::regclass || '.' || a.attname,
    concat_ws(' ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation::regcollation,
              a.attidentity, pg_get_expr(d.adbin, d.adrelid)),
    col_description(c.oid, a.attnum)
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = ANY ($1::regnamespace[]) AND c.relkind IN ('r', 'v', 'c')
UNION ALL
SELECT 'constraint', k.conrelid::regclass || '.' || k.conname, pg_get_constraintdef(k.oid), NULL
FROM pg_constraint AS k
WHERE k.connamespace = ANY ($1::regnamespace[])
UNION ALL
SELECT 'index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), NULL
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indrelid
WHERE c.relnamespace = ANY ($1::regnamespace[])
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid), obj_description(p.oid, 'pg_proc')
FROM pg_proc AS p
WHERE p.pronamespace = ANY ($1::regnamespace[])
UNION ALL
SELECT 'trigger', t.tgrelid::regclass || '.' || t.tgname, pg_get_triggerdef(t.oid), NULL
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = ANY ($1::regnamespace[]) AND NOT t.tgisinternal
UNION ALL
SELECT 'applied', m.name, CASE WHEN m.name <> 'schema' THEN m.checksum END, NULL
FROM canvas_ops.migration AS m
ORDER BY 1, 2
"""
SORTED_OTHERWISE = """
SELECT c.oid::regclass || '.' || a.attname AS name
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace IN ('canvas'::regnamespace, 'canvas_ops'::regnamespace) AND c.relkind = 'r'
  AND a.attcollation <> 0 AND a.attcollation <> '"C"'::regcollation
  AND (
      a.attname ~ '(^|_)ids?$'
      OR EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey))
  )
ORDER BY 1
"""

MIGRATION = """
ALTER TABLE canvas.practitioner ADD COLUMN qualification text COLLATE "C" CHECK (qualification <> '');
COMMENT ON COLUMN canvas.practitioner.qualification IS 'Made up.';
CREATE INDEX practitioner_by_qualification ON canvas.practitioner (qualification);
"""
HERE = """    _changed_at    timestamptz NOT NULL
);

COMMENT ON TABLE canvas.practitioner"""
THERE = """    _changed_at    timestamptz NOT NULL,
    qualification  text COLLATE "C" CHECK (qualification <> '')
);

CREATE INDEX practitioner_by_qualification ON canvas.practitioner (qualification);

COMMENT ON COLUMN canvas.practitioner.qualification IS 'Made up.';

COMMENT ON TABLE canvas.practitioner"""


async def describe(connection: Connection) -> list[tuple[str, ...]]:
    """Return all that the schemas are made of, in words that are the same for equal schemas."""
    return [tuple(row) for row in await connection.fetch(DESCRIPTION, ["canvas", "canvas_ops"])]


async def migrated(dsn: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Bring a warehouse up to date with the files of `directory`; return what its schemas are then."""
    monkeypatch.setattr(migrate_module, "SQL_DIRECTORY", directory)
    async with open_warehouse(dsn, "canvas", timedelta(seconds=30), pool_size=1) as warehouse:
        await migrate(warehouse)
        return await warehouse.work(describe)


def copy_with(directory: Path, schema: str, migrations: dict[str, str]) -> Path:
    """Make a folder like `sql/` with another schema and other migrations; return it."""
    shutil.copytree(SQL_DIRECTORY, directory)
    (directory / "schema.sql").write_text(schema, encoding="utf-8")
    for path in (directory / "migrations").glob("*.sql"):
        path.unlink()
    for name, text in migrations.items():
        (directory / "migrations" / name).write_text(text, encoding="utf-8")
    return directory


async def difference(
    before: str, after: str, migrations: dict[str, str], place: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> set[tuple[str, ...]]:
    """Return how an empty database that gets `after` differs from one that had `before` and got the migrations."""
    server_url, tmp_path = place
    old, new = copy_with(tmp_path / "old", before, {}), copy_with(tmp_path / "new", after, migrations)
    async with fresh_database(server_url) as upgraded, fresh_database(server_url) as empty:
        await migrated(upgraded, old, monkeypatch)
        return set(await migrated(upgraded, new, monkeypatch)) ^ set(await migrated(empty, new, monkeypatch))


async def test_the_schema_is_what_its_migrations_make_of_the_one_before_them(
    warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Column by column; columns are in the same order, so a new one goes to the end of its table in schema.sql, too."""
    migrations = {path.name: path.read_text(encoding="utf-8") for path in (SQL_DIRECTORY / "migrations").glob("*.sql")}
    after = (SQL_DIRECTORY / "schema.sql").read_text(encoding="utf-8")
    assert bool(migrations) == BEFORE.exists(), f"{BEFORE.name} is the schema before the first migration"
    before = BEFORE.read_text(encoding="utf-8") if migrations else after
    assert await difference(before, after, migrations, (warehouse_url, tmp_path), monkeypatch) == set()


async def test_a_migration_that_does_what_the_schema_says(
    warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (SQL_DIRECTORY / "schema.sql").read_text(encoding="utf-8")
    assert HERE in before
    after = before.replace(HERE, THERE)
    made_up = {"9999_made_up.sql": MIGRATION}
    assert await difference(before, after, made_up, (warehouse_url, tmp_path), monkeypatch) == set()


@pytest.mark.parametrize(
    ("said", "done"),
    [
        (' COLLATE "C"', ""),
        (" CHECK (qualification <> '')", ""),
        ("IS 'Made up.'", "IS NULL"),
        ("INDEX practitioner_by_qualification", "INDEX another_name"),
    ],
)
async def test_what_a_migration_forgets_is_found_out(
    said: str, done: str, warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sabotage: the migration does not do all that the schema says."""
    before = (SQL_DIRECTORY / "schema.sql").read_text(encoding="utf-8")
    assert said in MIGRATION
    made_up = {"9999_made_up.sql": MIGRATION.replace(said, done)}
    assert await difference(before, before.replace(HERE, THERE), made_up, (warehouse_url, tmp_path), monkeypatch)


async def test_keys_are_compared_byte_by_byte(database_dsn: str) -> None:
    """Every text that an index of ours holds, or that is an id, is COLLATE "C": no locale ever unsorts an index."""
    async with open_warehouse(database_dsn, "canvas", timedelta(seconds=30), pool_size=1) as warehouse:
        await migrate(warehouse)
        columns = await warehouse.work(lambda connection: connection.fetch(SORTED_OTHERWISE))
    assert [row["name"] for row in columns] == []
