"""The SQL: every statement is used, every one used exists, all say what they are for and can move to another schema."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import worker
from worker.load import land
from worker.load.postgres import statements as statements_module
from worker.load.postgres.migrations import known_files
from worker.load.postgres.statements import SQL_DIRECTORY, render, statement, statements

QUERIES = SQL_DIRECTORY / "queries"
NAMES = sorted(f"{path.stem}/{name}" for path in QUERIES.glob("*.sql") for name, _ in statements(path))
ASKED_FOR = re.compile(r"""\b(?:sql|statement)\(\s*["']([^"']+)["']""")


def names_in_the_code() -> set[str]:
    files = Path(worker.__file__).parent.rglob("*.py")
    return {name for file in files for name in ASKED_FOR.findall(file.read_text(encoding="utf-8"))}


def test_every_statement_is_used_and_every_one_used_exists() -> None:
    assert sorted(names_in_the_code()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_begins_by_saying_what_it_does(name: str) -> None:
    first, _, rest = statement(name, "canvas").partition("\n")
    assert re.match(r"-- \S.{20,}", first)
    assert rest.strip()


@pytest.mark.parametrize("path", sorted(SQL_DIRECTORY.rglob("*.sql")), ids=lambda path: str(path.stem))
def test_every_file_begins_by_saying_what_it_is_for(path: Path) -> None:
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    assert re.match(r"-- \S.{20,}", first)
    assert rest.strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_query_is_one_statement_whose_parameters_are_numbered_without_a_gap(name: str) -> None:
    sql = re.sub(r"--[^\n]*", "", statement(name, "canvas"))
    assert ";" not in sql.rstrip().removesuffix(";")
    numbers = {int(number) for number in re.findall(r"\$(\d+)", sql)}
    assert numbers == set(range(1, len(numbers) + 1))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "land/stage"])
def test_the_stage_is_never_looked_for_along_the_search_path(name: str) -> None:
    """Where pg_temp comes last in it, somebody's table of that name would be read, and nothing would be landed."""
    assert not re.search(r"(?<!pg_temp\.)\bincoming\b", re.sub(r"--[^\n]*", "", statement(name, "canvas")))


@pytest.mark.parametrize(
    ("sql", "moved"),
    [
        ("SELECT * FROM canvas.message", "SELECT * FROM north.message"),
        ("INSERT INTO canvas_ops.run", "INSERT INTO north_ops.run"),
        ("canvas.message.id, canvas_ops.run.id", "north.message.id, north_ops.run.id"),
        ("SELECT canvas FROM mycanvas.x", "SELECT canvas FROM mycanvas.x"),
        ("-- from Canvas. The canvas.", "-- from Canvas. The canvas."),
        ("canvas_meta.message", "canvas_meta.message"),
    ],
)
def test_just_the_schema_names_move(sql: str, moved: str) -> None:
    assert render(sql, "north") == moved
    assert render(sql, "canvas") == sql


@pytest.mark.parametrize("name", NAMES)
def test_no_query_stays_behind_when_the_schema_moves(name: str) -> None:
    moved = re.sub(r"--[^\n]*", "", statement(name, "north"))
    assert not re.search(r"\bcanvas(_ops)?\b\.", moved)


def test_no_table_or_view_stays_behind_when_the_schema_moves() -> None:
    for file in known_files():
        assert not re.search(r"\bcanvas(_ops)?\.[a-z_]", render(file.text, "north")), file.name


# Of the staged columns these name a version; the others are what it says.
NAMES_A_VERSION = {"id", "_content_hash"}
STAGED = [column for column in vars(land)["_STAGED_COLUMNS"] if column != "resource"]
SAID = [column for column in STAGED if column not in NAMES_A_VERSION]
FROM_CANVAS = [column for column in STAGED if not column.startswith("_")]


@pytest.mark.parametrize(
    ("name", "columns", "forms"),
    [
        (
            "land/insert_new",
            STAGED,
            [r"INSERT INTO [^)]*\b{}\b", r"\)\nSELECT\n[\s\S]*\b{}\b[\s\S]*FROM pg_temp\.incoming"],
        ),
        ("land/update", SAID, [r"^    {0} = i\.{0}\b"]),
        ("replay/update_past", SAID, [r"^    {0} = i\.{0}\b"]),
    ],
)
def test_every_field_of_a_message_is_wherever_fields_are(name: str, columns: list[str], forms: list[str]) -> None:
    """A field that a statement forgets is not written, and nothing tells. History and comparisons name no field."""
    assert_has_fields(statement(name, "canvas"), columns, forms)


def test_every_field_from_canvas_is_in_the_view_to_start_from() -> None:
    sql = (SQL_DIRECTORY / "views" / "live_message.sql").read_text(encoding="utf-8")
    assert_has_fields(sql, FROM_CANVAS, [r"^    {},$", r"^COMMENT ON COLUMN canvas\.live_message\.{} "])


def assert_has_fields(sql: str, columns: list[str], forms: list[str]) -> None:
    without_comments = re.sub(r"--[^\n]*", "", sql)
    for column in columns:
        for form in forms:
            assert re.search(form.format(column), without_comments, re.MULTILINE), f"{column} is missing"


@pytest.mark.parametrize("name", ["no/such", "land/no_such", "land/", "land"])
def test_a_name_that_is_not_there_is_a_defect(name: str) -> None:
    with pytest.raises(LookupError, match=r"^0 statements are called .* in sql/queries/(no|land)\.sql"):
        statement(name, "canvas")


def test_a_name_that_is_there_twice_is_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queries").mkdir()
    twice = "-- name: one\n-- The first.\nSELECT 1;\n\n-- name: one\n-- The second.\nSELECT 2;\n"
    (tmp_path / "queries" / "twice.sql").write_text(twice, encoding="utf-8")
    monkeypatch.setattr(statements_module, "SQL_DIRECTORY", tmp_path)
    with pytest.raises(LookupError, match=r"2 statements are called one in sql/queries/twice\.sql"):
        statement("twice/one", "canvas")
