"""A changed schema or view comes with a migration: an older worker refuses what has a migration that it does not know.

Of a view alone it could not tell newer from older, and would put its own back, every night. Of the schema alone nothing
would tell a warehouse that is there.
"""

from __future__ import annotations

from hashlib import sha256

import pytest

from worker.errors import MigrationError
from worker.load.postgres.migrations import SqlFile, known_files, outstanding

# The schema and all views as they were when the newest migration was the one named. When this fails, add a migration
# (for a view, a comment that says which one changed and why will do) and a line below. Lines that are there stay: they
# were applied somewhere. Before the first release nothing was: until then the line of `schema` may be renewed instead.
SINCE = {
    "schema": "8de36201661497a9cba81f7d790b9ec4cc8cf9f244d6e350276d51f257b0eccb",
}
NEWER = SqlFile("migrations/9999_newer", "-- Newer.", "")


def digest(files: tuple[SqlFile, ...]) -> str:
    lines = (f"{file.name} {file.checksum}\n" for file in files if not file.is_migration)
    return sha256("".join(lines).encode()).hexdigest()


def newest(files: tuple[SqlFile, ...]) -> str:
    """Return the last migration, or the schema if there is none."""
    return max((file.name for file in files if file.is_migration), default="schema")


def since(files: tuple[SqlFile, ...]) -> str:
    """Return the migration that came with the schema and the views as they are."""
    return max((name for name in SINCE if name != "schema" and name <= newest(files)), default="schema")


def test_schema_and_views_are_as_they_were_when_their_migration_came() -> None:
    files = known_files()
    assert digest(files) == SINCE[since(files)], "schema or views have changed: add a migration, and a line to SINCE"
    assert set(SINCE) <= {file.name for file in files}


def test_an_older_worker_refuses_what_came_with_a_migration() -> None:
    files = known_files()
    with pytest.raises(MigrationError, match="newer than this worker"):
        outstanding(files, {file.name: file.checksum for file in (*files, NEWER)})


def test_an_empty_database_gets_no_migration_and_one_that_is_there_no_schema() -> None:
    files = (*known_files(), NEWER)
    assert outstanding(files, {}) == known_files()
    assert outstanding(files, {file.name: file.checksum for file in known_files()}) == (NEWER,)
