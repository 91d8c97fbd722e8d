"""What the import contracts cannot say of the modules of `worker`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

WORKER = Path(__file__).parents[2] / "worker"
DOORS = sorted(WORKER.rglob("README.md"))


def test_no_two_modules_share_a_name() -> None:
    names = Counter(path.stem for path in WORKER.rglob("*.py") if not path.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_folder_has_a_door() -> None:
    folders = {path.parent for path in WORKER.glob("*/__init__.py")}
    assert [folder for folder in folders if not (folder / "README.md").is_file()] == []


@pytest.mark.parametrize("door", DOORS, ids=lambda door: str(door.parent.relative_to(WORKER)))
def test_a_path_that_a_readme_names_exists(door: Path) -> None:
    """`jobs/run/plan`, `load/worklist.land`: a module below `worker`, and what is in it."""
    paths = re.findall(r"`((?:cli|service|jobs|extract|load)/[a-z_/]+)(?:\.(\w+))?", door.read_text(encoding="utf-8"))
    assert [path for path, _ in paths if not (WORKER / f"{path}.py").is_file() and not (WORKER / path).is_dir()] == []
    named = [(WORKER / f"{path}.py", name) for path, name in paths if name and name != "py"]
    assert [name for path, name in named if not re.search(rf"\b{name}\b", path.read_text(encoding="utf-8"))] == []


def test_the_map_is_short() -> None:
    lines = (WORKER / "README.md").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 120
    assert next(number for number, line in enumerate(lines) if line.startswith("Each folder")) <= 40
