"""What the import contracts cannot say of the modules of `worker`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

WORKER = Path(__file__).parents[2] / "worker"


def test_no_two_modules_share_a_name() -> None:
    names = Counter(path.stem for path in WORKER.rglob("*.py") if not path.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_folder_has_a_door() -> None:
    folders = {path.parent for path in WORKER.rglob("__init__.py")}
    assert [folder for folder in folders if not (folder / "README.md").is_file()] == []
