"""A changed view comes with a migration: an older worker refuses what has a migration that it does not know.

Of a view alone it could not tell newer from older, and would put its own back, every night.
"""

from __future__ import annotations

from hashlib import sha256

import pytest

from worker.errors import MigrationError
from worker.load.migrate import SqlFile, known_files, outstanding

# All views as they were when the newest migration was the one named. When this fails, add a migration (a comment that
# says which view changed and why will do) and a line below. Lines that are there stay: they were applied somewhere.
VIEWS_SINCE = {
    "migrations/0010_never_earlier": "b7cade964effc85539bdb588f1832221b7e486e95476677a32c341c2a681349e",
    "migrations/0013_quarantine_last_served": "9d634673d574e447d01bba5efa10b6930d7e130067f24cde390252c0f30b008d",
    "migrations/0014_safe_in_a_box": "0fb2c952b38a23f5149685b6fc47f2a738acbc2458a798d586bb79d0c0394524",
    "migrations/0015_quality_of_a_row": "f80bbf5e6010e7db2899b2a6157fc20631e49a1044b3b399a5dd8ecca74514b2",
    "migrations/0016_defects": "937d9c94e3fd5a40255a7c0941ba5fd0b659566cb44517bf5906247257c774a0",
    "migrations/0019_quality_of_bodies": "26bc356177ad1dd59013e542dfd017aee489c0c20edc071f8879667c36879799",
    "migrations/0021_partial": "420deddcde46302efb0e963e012117230312a9f8df28158e701d05f76760fc62",
    "migrations/0023_over_caps": "2f98d16c6c7e64eba620c916b8b08c34bc84b7febf81861af351a613a27f59cd",
}


def digest(files: tuple[SqlFile, ...]) -> str:
    return sha256("".join(f"{file.name} {file.checksum}\n" for file in files if file.is_view).encode()).hexdigest()


def newest(files: tuple[SqlFile, ...]) -> str:
    return max(file.name for file in files if not file.is_view)


def since(files: tuple[SqlFile, ...]) -> str:
    """Return the migration that came with the views as they are."""
    return max(name for name in VIEWS_SINCE if name <= newest(files))


def test_views_are_as_they_were_when_their_migration_came() -> None:
    files = known_files()
    assert digest(files) == VIEWS_SINCE[since(files)], "a view has changed: add a migration, and a line to VIEWS_SINCE"
    assert set(VIEWS_SINCE) <= {file.name for file in files}


def test_an_older_worker_refuses_what_came_with_a_migration() -> None:
    files = known_files()
    older = tuple(file for file in files if file.name != newest(files))
    with pytest.raises(MigrationError, match="newer than this worker"):
        outstanding(older, {file.name: file.checksum for file in files})
