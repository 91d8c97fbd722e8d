"""The shell functions of the runbook pass on what is typed: run by a real shell, with programs that stand in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
SYSTEMD, KUBERNETES = re.findall(
    r"^mirror\(\) \{ .*?; \}$",
    (DEPLOY / "runbook" / "commands.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE | re.DOTALL,
)
TYPED = [
    ["status"],
    ["sync", "--accept-deletions"],
    ["verify", "--no-sync", "--json"],
    ["backfill", "--practitioner", "Practitioner/4150cd20", "--since", "2024-01-01"],
    ["backfill", "--id", "a&b/c d"],
]


def typed(function: str, stand_in: str, arguments: list[str], stdin: str = "") -> str:
    """Return what comes out when `mirror` is typed with these arguments."""
    script = f'{stand_in}\n{function}\nmirror "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *arguments], input=stdin, capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("arguments", TYPED, ids=" ".join)
def test_systemd_is_given_the_command_as_it_was_typed(arguments: list[str]) -> None:
    """With pipes where there is no terminal: what is JSON stays JSON, and a file can be read from stdin."""
    given = typed(SYSTEMD, """sudo() { printf '%s\\n' "$@"; }""", arguments).splitlines()
    assert given[given.index("/opt/message-mirror/bin/message-mirror") + 1 :] == arguments
    assert {"--pipe", "--pty", "--wait"} <= set(given)


def job_of_the_cronjob() -> dict[str, Any]:
    cronjob = yaml.safe_load((DEPLOY / "kubernetes" / "cronjob.yaml").read_text(encoding="utf-8"))
    return {"kind": "Job", "metadata": {"name": "NAME"}, "spec": cronjob["spec"]["jobTemplate"]["spec"]}


@pytest.mark.parametrize("arguments", TYPED, ids=" ".join)
def test_kubernetes_is_given_the_command_as_it_was_typed(arguments: list[str], tmp_path: Path) -> None:
    """Nothing else in the Job changes, and its name is free the next time."""
    job = job_of_the_cronjob()
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    stand_in = f"""kubectl() {{ case "$*" in
        *--dry-run*) sed "s/NAME/$3/" {tmp_path}/job.yaml;; *) cat;; esac; }}
    date() {{ echo 17; }}"""
    created = yaml.safe_load(typed(KUBERNETES, stand_in, arguments))
    (container,) = created["spec"]["template"]["spec"]["containers"]
    assert container["args"] == arguments
    container["args"] = ["sync"]
    assert created == job | {"metadata": {"name": "by-hand-17"}}
