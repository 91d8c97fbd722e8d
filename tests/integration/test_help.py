"""Every command, option and setting explains itself, and the README has them all and no other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from tests.integration.mirroring import CHECKOUT, run_command
from worker import __version__
from worker.cli.commands import cli
from worker.errors import EXIT_OK, EXIT_USAGE
from worker.settings import KNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command, groups included, with what is typed to reach it."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def options(command: click.Command) -> list[click.Option]:
    return [one for one in command.params if isinstance(one, click.Option)]


COMMANDS = dict(commands())
TOP = [name for name, *rest in COMMANDS if not rest]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_a_help_text(path: tuple[str, ...]) -> None:
    assert COMMANDS[path].help
    for option in options(COMMANDS[path]):
        assert option.help, option.name


@pytest.mark.parametrize("path", [(), ("sync",), ("warehouse", "psql")], ids=" ".join)
async def test_help_answers(path: tuple[str, ...]) -> None:
    finished = await run_command({}, *path, "--help")
    assert (finished.code, finished.err) == (EXIT_OK, "")
    assert finished.out.startswith(f"Usage: python -m worker {' '.join(path)}".rstrip())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_a_help(path: tuple[str, ...]) -> None:
    """Asked for in this process: how a command as such answers is the same for all of them."""
    finished = CliRunner().invoke(cli, [*path, "--help"], prog_name="message-mirror")
    assert finished.exit_code == EXIT_OK
    assert finished.output.startswith(f"Usage: message-mirror {' '.join(path)}")


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
async def test_help_is_whole_and_in_words(path: tuple[str, ...]) -> None:
    """No sentence is cut, no option is explained by a format, and what may be repeated says so."""
    command = COMMANDS[path] if path else cli
    context = click.Context(command, info_name="message-mirror", terminal_width=80)
    shown = command.get_help(context)
    assert "..." not in shown.partition("\n\n")[2]
    assert not re.search(r"%|RANGE|INTEGER", shown)
    for option in options(command):
        assert option.multiple == ("repeated" in (option.help or "")), option.name


def test_what_the_readme_says_puts_the_command_on_the_path(tmp_path: Path) -> None:
    """`make run` leaves it off: the commands are typed by their name, and the README says how to have it."""
    assert "`. .venv/bin/activate`" in (CHECKOUT / "README.md").read_text(encoding="utf-8")
    activate = Path(sys.executable).parent / "activate"
    finished = subprocess.run(
        ["sh", "-ec", f". '{activate}'; message-mirror --version"],
        cwd=tmp_path,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout == f"message-mirror, version {__version__}\n"


def test_the_list_of_make_targets_is_aligned() -> None:
    not_in_make = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    finished = subprocess.run(
        ["make", "help"], cwd=CHECKOUT, env=not_in_make, capture_output=True, text=True, check=True
    )
    listed = finished.stdout
    assert len({re.match(r"  make [\w-]+ +", line).end() for line in listed.splitlines()}) == 1  # type: ignore[union-attr]


def test_what_asks_nothing_of_the_source_starts_without_an_http_client() -> None:
    """Nor with what only the embedded server takes: these commands are typed often, and wait for nobody."""
    loads = "import sys; from worker.cli import json_output, terminal; from worker.jobs import migrate, replay, status"
    code = f"{loads}; print(*sorted({{'aiohttp', 'psutil', 'apscheduler'}} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    assert loaded == "\n"


async def test_nothing_typed_is_answered_by_the_help() -> None:
    finished = await run_command({})
    assert finished.code == EXIT_USAGE
    assert re.search(r"^  migrate ", finished.err, re.MULTILINE)


async def test_the_top_help_lists_commands_settings_and_exit_codes() -> None:
    finished = await run_command({}, "-h")
    for word in TOP + [known.variable for known in KNOWN]:
        assert re.search(rf"^  {word}\b", finished.out, re.MULTILINE), word
    for code in ("0", "1", "2", "3, 4", "75", "130"):
        assert re.search(rf"^  {code} ", finished.out, re.MULTILINE), code


async def test_the_version_is_the_packages() -> None:
    assert (await run_command({}, "--version")).out == f"message-mirror, version {__version__}\n"


def rows_of_the_readme() -> dict[str, str]:
    """Return the README's table rows by the first word of their first cell."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    return {row[1]: row[0] for row in re.finditer(r"^\| `([A-Za-z_]+).*$", text, re.MULTILINE)}


def test_the_readme_has_every_setting_and_no_other() -> None:
    documented = {word for word in rows_of_the_readme() if word.isupper()}
    assert documented == {known.variable for known in KNOWN}


def test_the_readme_has_every_command_and_no_other() -> None:
    documented = {word for word in rows_of_the_readme() if word.islower()}
    assert documented == set(TOP)


@pytest.mark.parametrize("name", TOP)
def test_the_readme_has_every_option_and_subcommand(name: str) -> None:
    command, row = COMMANDS[(name,)], rows_of_the_readme()[name]
    for option in options(command):
        assert option.opts[0] in row
    for subcommand in command.commands if isinstance(command, click.Group) else ():
        assert subcommand in row


def test_the_readme_names_no_option_that_is_gone() -> None:
    known = {opt for command in COMMANDS.values() for option in options(command) for opt in option.opts}
    named = {option for row in rows_of_the_readme().values() for option in re.findall(r"--[a-z-]+", row)}
    assert named <= known
