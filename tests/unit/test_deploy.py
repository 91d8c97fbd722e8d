"""The deploy files say what the code does: settings, commands, exit codes, and the rights the worker needs."""

from __future__ import annotations

import ast
import re
import tomllib
from datetime import timedelta
from functools import cache
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest
import yaml

from worker import errors
from worker.cli.commands import cli
from worker.extract.entry import ENTRY_BYTES_MAX, NESTING_MAX
from worker.extract.patience import CERTIFICATE
from worker.jobs.run import deletions, plan
from worker.jobs.verify import differences
from worker.load.ledger import FLOOD_FLOOR, FLOOD_SHARE
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.migrations import known_files, migrate
from worker.records import Reason
from worker.settings import KNOWN, read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOP = Path(__file__).parents[2]
DEPLOY = TOP / "deploy"
INDEX = (DEPLOY / "README.md").read_text(encoding="utf-8")
PAGES = sorted((DEPLOY / "runbook").glob("*.md"))
RUNBOOK = "\n".join([INDEX, *(page.read_text(encoding="utf-8") for page in PAGES)])
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and "secrets" not in path.parts)
MANIFESTS = [path for path in FILES if path.suffix == ".yaml"]

VARIABLES = {known.variable for known in KNOWN} | {f"{known.variable}_FILE" for known in KNOWN if known.secret}
EXIT_CODES = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
GIVES_UP = {errors.EXIT_INCOMPLETE, errors.EXIT_USAGE}
TRIES_AGAIN = EXIT_CODES - GIVES_UP - {errors.EXIT_OK}


def load(name: str) -> Any:
    """Return the one document of a YAML file below deploy/."""
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def unit(name: str) -> dict[str, list[str]]:
    """Return the settings of a systemd unit file: every value of a key, in order."""
    settings: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            settings.setdefault(key, []).append(value)
    return settings


def example_lines() -> list[tuple[str, str]]:
    """Return (variable, example) of each setting in env.example."""
    text = (DEPLOY / "env.example").read_text(encoding="utf-8")
    return re.findall(r"^#([A-Z_]+)=(.*)$", text, flags=re.MULTILINE)


def test_env_example_lists_exactly_the_known_settings() -> None:
    """Each setting is there once, in order, with its meaning and default, and none of them is set."""
    blocks = (DEPLOY / "env.example").read_text(encoding="utf-8").rstrip("\n").split("\n\n")[1:]
    found = [block.partition("=")[0] for block in blocks]
    assert found == [
        f"# {known.meaning}"
        + (f"; default: {known.default}" if known.default else "")
        + f"\n#{known.variable}{'_FILE' if known.secret else ''}"
        for known in KNOWN
    ]


def test_the_examples_in_env_example_are_accepted(tmp_path: Path) -> None:
    """Taking the # from every line gives sound settings, once the files it names are there."""
    file = tmp_path / "file"
    file.write_text("made-up", encoding="utf-8")
    values = {variable: str(file) if variable.endswith("_FILE") else value for variable, value in example_lines()}
    assert read_settings(values).need_instance() == values["CANVAS_INSTANCE"]


@pytest.mark.parametrize("path", [*FILES, TOP / ".dockerignore"], ids=lambda path: path.name)
def test_every_variable_named_exists(path: Path) -> None:
    """No deploy file names a setting that the worker does not know."""
    named = re.findall(r"\b(?:CANVAS|WAREHOUSE|MIRROR)_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8"))
    assert set(named) <= VARIABLES


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_yaml_is_one_mapping(path: Path) -> None:
    """Each manifest parses, as one document."""
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_runbook_has_a_row_for_each_exit_code() -> None:
    """Whoever looks an exit code up at night finds it, and none that cannot happen."""
    rows = [int(code) for code in re.findall(r"^\| (\d+) \|", INDEX, flags=re.MULTILINE)]
    assert rows == sorted(EXIT_CODES)


def test_the_index_leads_to_every_page_of_the_runbook() -> None:
    """Each page is in its tables once, and every link of the index and of a page leads to a file that is there."""
    linked = re.findall(r"\| \[[^]]+\]\(runbook/([^)]+)\) \|", INDEX)
    assert sorted(linked) == [page.name for page in PAGES]
    for file in (DEPLOY / "README.md", *PAGES):
        for link in re.findall(r"\]\(([^)#]+)", file.read_text(encoding="utf-8")):
            assert (file.parent / link).is_file(), f"{file.name}: {link}"


def test_the_deploy_files_that_messages_name_are_there() -> None:
    """Whoever is sent to a page at night finds it."""
    named = {
        name
        for path in (TOP / "worker").rglob("*.py")
        for name in re.findall(r"\bdeploy/[\w./-]*\w", path.read_text(encoding="utf-8"))
    }
    assert "deploy/runbook/incomplete-run.md" in named
    assert all((TOP / name).exists() for name in named), named


@cache
def texts_in_the_code() -> str:
    """Return every text of the worker, a line each, with … in the place of each value that is put in."""
    texts = []
    for path in (TOP / "worker").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values))
    return "\n".join(texts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_message_that_a_page_quotes_is_one_of_the_program(page: Path) -> None:
    """Whoever searches a page for what is on the screen finds it: in parts between …, each of four words or more."""
    known = texts_in_the_code()
    seen = "".join(re.findall(r"\*\*You see\*\*(.*?)(?=\*\*Safe:|\Z)", page.read_text("utf-8"), re.DOTALL))
    quoted = [part.strip(" ✓") for quote in re.findall("`([^`]+)`", seen) for part in re.split("…|SQLSTATE", quote)]
    for part in quoted:
        if part.count(" ") > 2 and not re.match("message-mirror|SELECT", part):
            assert part in known, part


def test_systemd_tries_again_what_may_pass() -> None:
    """Codes that would come again at once are not retried; being stopped is no failure."""
    service = unit("message-mirror.service")
    assert service["Restart"] == ["on-failure"]
    assert {int(code) for code in service["RestartPreventExitStatus"][0].split()} == GIVES_UP
    assert [int(code) for code in service["SuccessExitStatus"]] == [errors.EXIT_SIGNAL]


def test_a_crash_leaves_no_memory_in_a_file() -> None:
    """Of the worker and of PostgreSQL: patients' words are in it."""
    assert unit("message-mirror.service")["LimitCORE"] == ["0"]
    for name, service in load("compose.yaml")["services"].items():
        assert service["ulimits"] == {"core": 0}, name


def test_systemd_timer_fires_in_utc_and_makes_up_for_a_missed_night() -> None:
    """The timer starts the service of its own name."""
    timer = unit("message-mirror.timer")
    assert timer["OnCalendar"] == ["*-*-* 02:00:00 UTC"]
    assert timer["Persistent"] == ["true"]
    assert "Unit" not in timer


def test_kubernetes_makes_up_for_a_missed_night() -> None:
    """At any time before the next; and never two at once."""
    cronjob = load("kubernetes/cronjob.yaml")["spec"]
    assert 20 * 3600 <= cronjob["startingDeadlineSeconds"] < 24 * 3600
    assert cronjob["concurrencyPolicy"] == "Forbid"


def test_kubernetes_tries_again_what_may_pass() -> None:
    """The Job fails at once on codes that would come again, counts the others, and ignores evictions before both."""
    job = load("kubernetes/cronjob.yaml")["spec"]["jobTemplate"]["spec"]
    evicted, *by_code = job["podFailurePolicy"]["rules"]
    (container,) = job["template"]["spec"]["containers"]
    assert evicted["action"] == "Ignore"
    assert {rule["action"]: set(rule["onExitCodes"]["values"]) for rule in by_code} == {
        "FailJob": GIVES_UP,
        "Count": TRIES_AGAIN,
    }
    assert all(rule["onExitCodes"]["containerName"] == container["name"] for rule in by_code)


def test_kubernetes_runs_the_worker_without_rights() -> None:
    """Non-root by the image's uid, read-only root, no capabilities, and time to stop cleanly."""
    pod = load("kubernetes/cronjob.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    uid = re.search(r"^USER (\d+):\d+$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert uid is not None
    assert pod["securityContext"]["runAsUser"] == int(uid[1])
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["terminationGracePeriodSeconds"] >= 30
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_secrets_of_kubernetes_are_the_files_the_worker_is_told() -> None:
    """Each key of the Secret is one file below its mount, named by a …_FILE variable."""
    pod = load("kubernetes/cronjob.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    told = {entry["value"] for entry in container["env"] if entry["name"].endswith("_FILE")}
    assert told == {f"{mount['mountPath']}/{key}" for key in load("kubernetes/secret.example.yaml")["stringData"]}


def test_every_secret_of_compose_that_is_told_is_mounted() -> None:
    """A …_FILE variable below /run/secrets names a secret that its service has."""
    for name, service in load("compose.yaml")["services"].items():
        told = {Path(value).name for key, value in service.get("environment", {}).items() if key.endswith("_FILE")}
        assert told <= set(service.get("secrets", [])), name


def test_the_trial_worker_is_where_the_sandbox_listens() -> None:
    """The sandbox is on loopback only, so the trial shares its network, and takes a schema of its own."""
    trial = load("compose.yaml")["services"]["trial"]
    assert trial["network_mode"] == "service:sandbox"
    assert trial["environment"]["CANVAS_FHIR_URL"].startswith("http://127.0.0.1:")
    assert f"CREATE SCHEMA IF NOT EXISTS {trial['environment']['WAREHOUSE_SCHEMA']}_ops " in (
        DEPLOY / "postgresql" / "2-compose.sql"
    ).read_text(encoding="utf-8")


def started_commands() -> list[list[str]]:
    """Return the arguments of every message-mirror command that the deploy files start or tell to type."""
    typed = re.compile(r"(?:/bin/message-mirror|`message-mirror|--rm job|[`\n]mirror) ([a-z]+(?: --[a-z-]+)*)")
    services = load("compose.yaml")["services"].values()
    (container,) = load("kubernetes/cronjob.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return [
        *(arguments.split() for path in FILES for arguments in typed.findall(path.read_text(encoding="utf-8"))),
        *(service["command"] for service in services if service["image"] == "canvas-message-mirror"),
        container["args"],
    ]


def test_every_command_named_exists() -> None:
    """Commands and their options, in units, manifests and the runbook, are known to the command line."""
    commands = started_commands()
    assert ["sync"] in commands
    assert ["migrate", "--print"] in commands
    for name, *options in commands:
        command = cli.commands[name]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(options) <= known, f"{name}: {options}"


def test_the_commands_of_the_runbook_stand_one_a_line() -> None:
    """Each block can be pasted as it stands: no command has slipped into another's line, and each service exists."""
    services = load("compose.yaml")["services"]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", RUNBOOK, re.DOTALL) for line in block.splitlines()]
    composed = [line for line in lines if "docker compose" in line]
    assert len(composed) == 4
    for line in composed:
        command = line.partition("#")[0].split()
        assert command[:2] == ["docker", "compose"]
        assert "docker" not in line.removeprefix("docker")
        assert command[2] == "up" or set(command[3:]) & set(services), line


def reasons_in_the_code() -> set[str]:
    """Return every word that a search, a verification or deletions not believed may end with."""
    found = {
        plan.HIDES_MESSAGES,
        plan.QUARANTINE,
        plan.NOT_LISTED,
        plan.ROSTER_EMPTY,
        plan.ROSTER_SHRUNK,
        differences.DIFFERENCES_FOUND,
        plan.TOO_MANY_MISSING,
        deletions.Deletions.TOO_MANY.value,
        deletions.Deletions.SOURCE_UNRELIABLE.value,
        CERTIFICATE,
        "http_401",  # a family, of which two have a row of their own
        differences.FORBIDDEN,
    }
    found |= {differences.SIGHTINGS_LOST, differences.NOT_ANSWERED, differences.SYNC_NOT_COMPLETE}
    for path in (*(TOP / "worker" / "extract").glob("*.py"), *(TOP / "worker" / "jobs").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="PageFailed"), args=[reason, *_]):
                    found |= words_in(reason)
                case (
                    ast.Assign(targets=[ast.Name(id="reason")], value=value)
                    | ast.AnnAssign(target=ast.Name(id="reason"), value=ast.expr() as value)
                ):
                    found |= words_in(value)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name in TELL_WHY:
                    returned = [one.value for one in ast.walk(node) if isinstance(one, ast.Return)]
                    found |= {word for value in returned if value is not None for word in words_in(value)}
    return found


TELL_WHY = {"objection", "to_the_end", "reason", "_reason", "_walk", "_pass", "read_until_two_agree"}


def words_in(node: ast.AST) -> set[str]:
    constants = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return {text for text in constants if re.fullmatch("[a-z]+(_[a-z0-9]+)*", text)}


def test_the_image_holds_no_database_server() -> None:
    """It gets the project's own dependencies; the embedded PostgreSQL is an extra, and no extra is named."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {extra: len(packages) for extra, packages in project["optional-dependencies"].items()} == {"embedded": 2}
    assert not [package for package in project["dependencies"] if re.match("pixeltable|psutil", package)]
    assert not re.search("embedded|--extra|--all-extras", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))


def test_the_runbook_explains_every_reason() -> None:
    """Whoever reads a reason finds it in the table, and the table has none that cannot happen."""
    (table,) = re.findall(r"^\| reason \|.*?\n\n", RUNBOOK, re.MULTILINE | re.DOTALL)
    cells = [row.split("|")[1] for row in table.splitlines()[2:] if row]
    words = [word for cell in cells for word in re.findall("`([a-z]+(?:_[a-z0-9]+)*)`", cell)]
    assert len(words) == len(set(words))
    assert set(words) == reasons_in_the_code()


def test_the_runbook_explains_every_reason_for_quarantine() -> None:
    """Each is in its table once, and none that there is not; so are the bounds that an entry may be over."""
    (table,) = re.findall(r"^\| in quarantine \|.*?\n\n", RUNBOOK, re.MULTILINE | re.DOTALL)
    words = [word for row in table.splitlines()[2:] if row for word in re.findall("`([a-z_]+)`", row.split("|")[1])]
    assert sorted(words) == sorted(Reason)
    assert f"more than {ENTRY_BYTES_MAX >> 20} MiB, or nested more than {NESTING_MAX} deep" in table
    assert f"max({FLOOD_FLOOR}, {FLOOD_SHARE:.0%})".replace("%", " %") in RUNBOOK


def test_the_runbook_says_how_many_connections_a_job_takes() -> None:
    """Those of its pool, and that of its lock."""
    pool = signature(open_warehouse).parameters["pool_size"].default
    assert f"A job takes up to {pool + 1} connections" in RUNBOOK


def test_one_version_of_uv_everywhere() -> None:
    """The Dockerfile and the runbook install the uv that the Makefile does."""
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", makefile, flags=re.MULTILINE)
    for text in (RUNBOOK, (DEPLOY / "Dockerfile").read_text(encoding="utf-8")):
        assert re.findall(r"uv==([\d.]+)", text) == [version]


def test_the_image_is_built_from_what_dockerignore_lets_in() -> None:
    """Whatever the Dockerfile copies from the tree is let in, and nothing else is."""
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = {name for line in re.findall(r"^COPY (?!--)(.*) \S+$", dockerfile, re.MULTILINE) for name in line.split()}
    let_in = re.findall(r"^!(\S+)$", (TOP / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert copied == set(let_in)


@pytest.fixture
async def administrator(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a superuser's connection to an empty database."""
    connection = await asyncpg.connect(database_dsn)
    yield connection
    await connection.close()


async def test_the_alarm_of_the_runbook_goes_off(administrator: asyncpg.Connection, database_dsn: str) -> None:
    """Also while no run was ever complete, when there is no age; and not after one that was."""
    (alarm,) = re.findall(r"`(SELECT [^`]* FROM canvas\.freshness)`", RUNBOOK)
    async with open_warehouse(database_dsn, "canvas", timedelta(seconds=10)) as warehouse:
        await migrate(warehouse)
    assert await administrator.fetchval(alarm) is True
    await administrator.execute(
        "INSERT INTO canvas_ops.run (job, scope, selection_key, version, closed_at, outcome, as_of)"
        " VALUES ('sync', 'full', '', '0', now(), 'complete', now() - interval '27 hours')"
    )
    assert await administrator.fetchval(alarm) is True
    await administrator.execute("UPDATE canvas_ops.run SET as_of = now() - interval '1 hour'")
    assert await administrator.fetchval(alarm) is False


RIGHTS = (
    "SELECT relname, relacl::text FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'canvas%'"
    " UNION ALL SELECT nspname, nspacl::text FROM pg_namespace"
    " UNION ALL SELECT 'defaults', defaclacl::text FROM pg_default_acl ORDER BY 1, 2"
)


@pytest.mark.parametrize("as_whom", ["a superuser", "the database's owner with CREATEROLE"])
async def test_the_roles_suffice_and_no_more(
    as_whom: str, administrator: asyncpg.Connection, database_dsn: str
) -> None:
    """With 1-roles.sql the writer can migrate and not create schemas; readers read canvas and not canvas_ops.

    A second instance has its schemas by the same file, for the roles that are there. Run again, before and after the
    first migration, the file changes nothing.
    """
    # Roles belong to the whole server, which other tests share: names of this test's own.
    writer, reader, owner = f"writer_{uuid4().hex}", f"reader_{uuid4().hex}", f"owner_{uuid4().hex}"
    database = await administrator.fetchval("SELECT current_database()")
    roles = (DEPLOY / "postgresql" / "1-roles.sql").read_text(encoding="utf-8").replace(':"DBNAME"', database)
    roles = roles.replace("canvas_writer", writer).replace("canvas_text_reader", reader)
    await administrator.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    await administrator.execute(f"CREATE ROLE {owner} CREATEROLE")
    if as_whom != "a superuser":
        await administrator.execute(f"ALTER DATABASE {database} OWNER TO {owner}; SET ROLE {owner}")
    await administrator.execute(roles)
    await administrator.execute(roles)
    (pattern, replacement) = re.findall(r"sed -E 's/(.+?)/(.+?)/g' deploy/postgresql/1-roles.sql", roles)[0]
    await administrator.execute(re.sub(pattern, replacement, roles))
    await administrator.execute("RESET ROLE")
    assert not await administrator.fetchval("SELECT pg_has_role($1, $2, 'USAGE')", owner, writer)
    try:
        async with open_warehouse(f"{database_dsn}&role={writer}", "canvas_north", timedelta(seconds=10)) as second:
            assert await migrate(second)
        async with open_warehouse(f"{database_dsn}&role={writer}", "canvas", timedelta(seconds=10)) as warehouse:
            assert await migrate(warehouse) == tuple(file.name for file in known_files())
        if as_whom != "a superuser":
            await administrator.execute(f"SET ROLE {owner}")
        before = await administrator.fetch(RIGHTS)
        await administrator.execute(roles)
        assert await administrator.fetch(RIGHTS) == before
        await administrator.execute(f"RESET ROLE; SET ROLE {writer}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await administrator.execute("CREATE SCHEMA another")
        await administrator.execute("CREATE TEMPORARY TABLE stage (id text)")
        await administrator.execute(f"SET ROLE {reader}")
        assert await administrator.fetchval("SELECT messages FROM canvas.freshness") == 0
        assert await administrator.fetchval("SELECT count(*) FROM canvas.message") == 0
        assert await administrator.fetchval("SELECT count(*) FROM canvas_north.message") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await administrator.execute("SELECT FROM canvas_ops.communication")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await administrator.execute("DELETE FROM canvas.message")
    finally:
        await administrator.execute("RESET ROLE")
        await administrator.execute(f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
        for role in (reader, writer, owner):
            await administrator.execute(f"DROP OWNED BY {role} CASCADE")
            await administrator.execute(f"DROP ROLE {role}")
