"""Paging as documented: relative links, defaults and caps, everything exactly once by following `next`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    import aiohttp

    from worker.sandbox.sandbox_server import SandboxServer

BUSIEST = "Practitioner/4150cd20de8a470aa570a852859ac87e"


async def page(http: aiohttp.ClientSession, headers: dict[str, str], path: str) -> dict[str, Any]:
    async with http.get(path, headers=headers) as answer:
        assert answer.status == 200
        body: dict[str, Any] = await answer.json(content_type=None)
        return body


def links(body: dict[str, Any]) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in body.get("link", [])}


async def walk(http: aiohttp.ClientSession, headers: dict[str, str], path: str) -> list[dict[str, Any]]:
    """Follow the `next` links to the end and return all resources."""
    body = await page(http, headers, path)
    found = [entry["resource"] for entry in body.get("entry", [])]
    while "next" in links(body):
        body = await page(http, headers, links(body)["next"])
        found += [entry["resource"] for entry in body["entry"]]
    assert len(found) == body["total"]
    return found


async def test_links_are_relative_and_percent_encoded(
    http: aiohttp.ClientSession, authorized: dict[str, str], server: SandboxServer
) -> None:
    """The links of each page have exactly the documented form; `next` is absent on the last."""
    total = len(server.clinic.search("sender", BUSIEST))
    last = (total - 1) // 10 * 10

    def url(offset: int) -> str:
        return f"/Communication?sender={quote(BUSIEST, safe='')}&_count=10&_offset={offset}"

    body = await page(http, authorized, f"/Communication?sender={BUSIEST}")
    assert total > 30
    assert body["total"] == total
    assert len(body["entry"]) == 10
    assert links(body) == {"self": url(0), "first": url(0), "next": url(10), "last": url(last)}
    assert links(await page(http, authorized, url(10))) == {
        "self": url(10), "first": url(0), "next": url(20), "last": url(last),
    }  # fmt: skip
    assert links(await page(http, authorized, url(last))) == {
        "self": url(last), "first": url(0), "last": url(last),
    }  # fmt: skip


@pytest.mark.parametrize("asked", [100, 101, 5000])
async def test_count_is_capped(asked: int, http: aiohttp.ClientSession, authorized: dict[str, str]) -> None:
    """A `_count` above 100 is served as 100, in the links too."""
    body = await page(http, authorized, f"/Communication?sender={BUSIEST}&_count={asked}")
    assert len(body["entry"]) == min(100, body["total"])
    assert "_count=100&" in links(body)["self"]


async def test_an_empty_result_has_neither_links_nor_entries(
    http: aiohttp.ClientSession, authorized: dict[str, str]
) -> None:
    """Nothing found is a Bundle with a total of 0 and nothing else."""
    for path in (
        "/Communication?_id=00000000-0000-4000-8000-000000000000",
        "/Communication?_id=not-a-uuid",
        "/Communication?recipient=Practitioner/nobody",
        "/Patient?_id=nobody",
    ):
        assert await page(http, authorized, path) == {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": 0,
        }


async def test_a_page_beyond_the_end_has_no_entries(http: aiohttp.ClientSession, authorized: dict[str, str]) -> None:
    """An offset past the end shows the total and the links, but no entry and no `next`."""
    body = await page(http, authorized, f"/Communication?sender={BUSIEST}&_offset=100000")
    assert "entry" not in body
    assert "next" not in links(body)
    assert body["total"] > 0


@pytest.mark.parametrize("count", [7, 100])
async def test_practitioners_searches_cover_every_message_once(
    count: int, http: aiohttp.ClientSession, authorized: dict[str, str], server: SandboxServer
) -> None:
    """Both searches of every practitioner, hidden ones included, show each message exactly once and whole."""
    everyone = [
        resource["id"]
        for active in ("true", "false")
        for resource in await walk(
            http, authorized, f"/Practitioner?include-non-schedulable-practitioners=true&active={active}"
        )
    ]
    found = [
        resource
        for person in everyone
        for side in ("recipient", "sender")
        for resource in await walk(http, authorized, f"/Communication?{side}=Practitioner/{person}&_count={count}")
    ]
    assert sorted(found, key=lambda one: str(one["id"])) == sorted(server.clinic, key=lambda one: str(one["id"]))
    assert len({resource["id"] for resource in found}) == server.clinic.message_count == 600


async def test_patients_searches_cover_every_message_once(
    http: aiohttp.ClientSession, authorized: dict[str, str], server: SandboxServer
) -> None:
    """Both searches of every patient together show the same messages, each once."""
    patients = await walk(http, authorized, "/Patient?_count=25")
    found = [
        resource["id"]
        for patient in patients
        for side in ("recipient", "sender")
        for resource in await walk(http, authorized, f"/Communication?{side}=Patient/{patient['id']}&_count=50")
    ]
    assert sorted(found) == sorted(resource["id"] for resource in server.clinic)


@pytest.mark.parametrize(
    ("query", "active", "schedulable"),
    [
        ("", {True}, {True}),
        ("?active=true", {True}, {True}),
        ("?active=FALSE", {False}, {True}),
        ("?include-non-schedulable-practitioners=true", {True}, {True, False}),
        ("?include-non-schedulable-practitioners=true&active=false", {False}, {True, False}),
    ],
)
async def test_practitioners_are_hidden_by_default(
    query: str,
    active: set[bool],
    schedulable: set[bool],
    http: aiohttp.ClientSession,
    authorized: dict[str, str],
    server: SandboxServer,
) -> None:
    """Only active and schedulable people are shown unless asked for otherwise."""
    expected = {
        person.id
        for person in server.clinic.practitioners.values()
        if person.active in active and person.schedulable in schedulable
    }
    found = await walk(http, authorized, f"/Practitioner{query}")
    assert sorted(resource["id"] for resource in found) == sorted(expected)
    assert expected


async def test_two_filters_find_what_both_find(
    http: aiohttp.ClientSession, authorized: dict[str, str], server: SandboxServer
) -> None:
    """Sender and recipient together narrow the result."""
    patient = next(iter(server.clinic.patients.values())).reference
    found = await walk(http, authorized, f"/Communication?sender={BUSIEST}&recipient={patient}")
    expected = [
        one["id"]
        for one in server.clinic
        if one["sender"]["reference"] == BUSIEST and one["recipient"][0]["reference"] == patient
    ]
    assert sorted(one["id"] for one in found) == sorted(expected)
    assert expected
