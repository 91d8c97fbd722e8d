"""The sandbox's faults: what each kind does to an answer, and that scripts and seeds are kept to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.faults.script import FAULTS, Faults, Script, SeededScript
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.sandbox.population import Clinic

PAGE_MAX = 5


@pytest.fixture
def clinic() -> Clinic:
    """Give a clinic whose busiest practitioner has received several pages of messages."""
    return make_clinic(messages=60, practitioners=2, patients=6, seed=4)


@pytest.fixture
def faults(clinic: Clinic) -> Faults:
    """Give faults that are still without a script."""
    return Faults(clinic, page_max=PAGE_MAX)


class Client:
    """Asks one search of the sandbox, with a token fetched before any fault."""

    def __init__(self, session: aiohttp.ClientSession, server: SandboxServer, search: str) -> None:
        self.session = session
        self.server = server
        self.search = search

    async def get(self, query: str = "", timeout_s: float = 60) -> tuple[int, Any]:
        """Return status and JSON body; None for a body that is none."""
        url, timeout = f"{self.server.url}/Communication?{query or self.search}", aiohttp.ClientTimeout(timeout_s)
        async with self.session.get(url, timeout=timeout) as response:
            body = await response.read()
            try:
                return response.status, json.loads(body)
            except ValueError:
                return response.status, None


@pytest.fixture
async def client(clinic: Clinic, faults: Faults) -> AsyncIterator[Client]:
    """Give a client that is let in."""
    busiest = next(iter(clinic.practitioners.values())).reference
    async with SandboxServer(clinic, middlewares=[faults.middleware]) as server, aiohttp.ClientSession() as session:
        form = {
            "grant_type": "client_credentials",
            "client_id": server.client_id,
            "client_secret": server.client_secret,
        }
        async with session.post(f"{server.url}/auth/token/", data=form) as response:
            session.headers["Authorization"] = f"Bearer {(await response.json())['access_token']}"
        yield Client(session, server, f"recipient={busiest}&_count=100")


def ids(bundle: Any) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle["entry"]]


def next_link(bundle: Any) -> str | None:
    return next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)


async def spoilt(client: Client, faults: Faults, kind: str) -> tuple[Any, Any]:
    """Return the first page as it is, and as it is when this fault befalls it."""
    faults.begin()
    _, calm = await client.get()
    faults.begin(Script({1: (kind,)}))
    status, bundle = await client.get()
    assert status == 200
    assert faults.befell[-1:] == [(1, kind)]
    return calm, bundle


async def test_without_a_script_pages_are_as_they_are_but_small(client: Client, faults: Faults) -> None:
    """The page cap holds whatever is asked for, and its links repeat it."""
    faults.begin()
    _, bundle = await client.get()
    assert len(bundle["entry"]) == PAGE_MAX
    assert f"_count={PAGE_MAX}&_offset={PAGE_MAX}" in (next_link(bundle) or "")


async def test_entries_repeated_and_skipped(client: Client, faults: Faults) -> None:
    """One instead of another, one besides all others, one left out; `total` stays."""
    calm, bundle = await spoilt(client, faults, "entry_repeated")
    assert ids(bundle) == [*ids(calm)[:-1], ids(calm)[0]]
    calm, bundle = await spoilt(client, faults, "entry_added_twice")
    assert ids(bundle) == [*ids(calm), ids(calm)[-1]]
    calm, bundle = await spoilt(client, faults, "entry_skipped")
    assert len(bundle["entry"]) == PAGE_MAX - 1
    assert set(ids(bundle)) < set(ids(calm))
    assert bundle["total"] == calm["total"]


async def test_totals_and_filters(client: Client, faults: Faults, clinic: Clinic) -> None:
    """One more, one less, everybody's, nothing."""
    calm, bundle = await spoilt(client, faults, "total_too_high")
    assert bundle["total"] == calm["total"] + 1
    calm, bundle = await spoilt(client, faults, "total_too_low")
    assert bundle["total"] == calm["total"] - 1
    _, bundle = await spoilt(client, faults, "filters_ignored")
    assert (bundle["total"], len(bundle["entry"]), next_link(bundle)) == (clinic.message_count, 60, None)
    _, bundle = await spoilt(client, faults, "nothing_found")
    assert bundle == {"resourceType": "Bundle", "type": "searchset", "total": 0}


async def test_links(client: Client, faults: Faults) -> None:
    """Missing, looping, foreign."""
    _, bundle = await spoilt(client, faults, "next_missing")
    assert next_link(bundle) is None
    _, bundle = await spoilt(client, faults, "next_loops")
    assert (next_link(bundle) or "").startswith("/Communication?recipient=")
    assert "_offset" not in (next_link(bundle) or "")
    _, bundle = await spoilt(client, faults, "next_foreign")
    assert (next_link(bundle) or "").startswith("https://elsewhere.invalid/")


async def test_a_scope_that_shrank_stays_so_until_the_next_script(client: Client, faults: Faults) -> None:
    """Everything is empty from then on, by `_id` too."""
    calm, _ = await spoilt(client, faults, "scope_shrunk")
    for query in ("", f"_id={ids(calm)[0]}"):
        assert (await client.get(query))[1]["total"] == 0
    faults.begin()
    assert (await client.get())[1] == calm


async def test_an_inbox_grows_until_the_next_script(client: Client, faults: Faults) -> None:
    """By a message at every fifth request, of the search that is asked."""
    calm, _ = await spoilt(client, faults, "inbox_grows")
    for _ in range(10):
        _, bundle = await client.get()
    assert bundle["total"] == calm["total"] + 2
    assert len(faults.moved) == 2
    faults.begin()
    for _ in range(10):
        _, bundle = await client.get()
    assert bundle["total"] == calm["total"] + 2


async def test_a_page_cap_that_changed_stays_so(client: Client, faults: Faults) -> None:
    """Pages are half as long from then on."""
    _, bundle = await spoilt(client, faults, "page_cap_changed")
    assert len(bundle["entry"]) == PAGE_MAX // 2
    assert len((await client.get())[1]["entry"]) == PAGE_MAX // 2


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("unauthorized", 401),
        ("expired_tokens", 401),
        ("throttled", 429),
        ("throttled_with_pause", 429),
        ("internal_error", 500),
        ("bad_gateway", 502),
        ("unavailable", 503),
        ("html_instead", 200),
        ("outcome_instead", 200),
        ("truncated", 200),
    ],
)
async def test_spoiled_answers(kind: str, status: int, client: Client, faults: Faults) -> None:
    """Each is no Bundle, and only the request it befalls is answered so, but for a token that expired."""
    faults.begin(Script({1: (kind,)}))
    answered, body = await client.get()
    assert answered == status
    assert body is None or body["resourceType"] == "OperationOutcome"
    assert (await client.get())[0] == (401 if kind == "expired_tokens" else 200)


@pytest.mark.parametrize("kind", ["reset_in_body", "dripping", "never_answers"])
async def test_answers_that_never_come_whole(kind: str, client: Client, faults: Faults) -> None:
    """The client is left with an error or waits until it has had enough."""
    faults.begin(Script({1: (kind,)}))
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        await client.get(timeout_s=0.2)


async def test_drift(client: Client, faults: Faults, clinic: Clinic) -> None:
    """A row more, one less, one for another, one changed, one elsewhere: seen by the very request it befalls."""
    calm, bundle = await spoilt(client, faults, "row_created")
    assert bundle["total"] == calm["total"] + 1
    calm, bundle = await spoilt(client, faults, "row_removed")
    assert bundle["total"] == calm["total"] - 1
    before = {resource["id"]: resource for resource in clinic}
    faults.moved.clear()
    calm, bundle = await spoilt(client, faults, "row_replaced")
    assert bundle["total"] == calm["total"]
    assert before.keys() ^ {resource["id"] for resource in clinic} == faults.moved.keys()
    before = {resource["id"]: resource for resource in clinic}
    faults.moved.clear()
    await spoilt(client, faults, "row_edited")
    (edited,) = faults.moved
    assert [resource["id"] for resource in clinic if before[resource["id"]] != resource] == [edited]
    before = {resource["id"]: resource for resource in clinic}
    calm, bundle = await spoilt(client, faults, "rows_reordered")
    assert {resource["id"]: resource for resource in clinic} == before
    assert bundle["total"] == calm["total"]


def test_scripts_name_known_faults_only() -> None:
    """A slip of the pen is told at once, not in the middle of a run."""
    with pytest.raises(KeyError):
        Script({3: ("row_remvoed",)})
    with pytest.raises(KeyError):
        Script(lasting=((3, "row_remvoed"),))
    assert all(fault.__doc__ for fault in FAULTS.values())


def test_a_seed_draws_the_same_faults_again() -> None:
    """One request in so many meets one of the kinds, the same for the same seed."""
    drawn = [SeededScript(1, one_in=4).kinds(number) for number in range(1, 401)]
    assert drawn == [SeededScript(1, one_in=4).kinds(number) for number in range(1, 401)]
    assert drawn != [SeededScript(2, one_in=4).kinds(number) for number in range(1, 401)]
    assert 60 < sum(map(len, drawn)) < 140
    assert set().union(*map(set, drawn)) <= set(FAULTS)
