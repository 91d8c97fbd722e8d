"""Every documented answer of search, create and read, provoked over HTTP and compared whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp

    from worker.sandbox.population import Edition
    from worker.sandbox.sandbox_server import SandboxServer

# The people of the documented example, whom every clinic has.
PATIENT = {"reference": "Patient/4c21512185184e579b09bfac16dfdd2f", "type": "Patient"}
PRACTITIONER = {"reference": "Practitioner/4150cd20de8a470aa570a852859ac87e", "type": "Practitioner"}
EXAMPLE_ID = "7433b4b2-0d18-45ca-bb12-71105c80386b"

GOOD = {
    "resourceType": "Communication",
    "status": "unknown",
    "sent": "2022-04-29T13:30:00.000Z",
    "received": "2022-04-29T13:45:00.000Z",
    "recipient": [PRACTITIONER],
    "sender": PATIENT,
    "payload": [{"contentString": "I took <2 pills & felt ok"}],
}


def outcome(code: str, text: str) -> dict[str, Any]:
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "details": {"text": text}}],
    }


DOCUMENTED = {
    201: None,
    400: outcome("invalid", "Bad request"),
    401: outcome("unknown", "Authentication failed"),
    403: outcome("forbidden", "Authorization failed"),
    405: outcome("not-supported", "Operation is not supported"),
    412: outcome("conflict", "Resource updated since If-Unmodified-Since date"),
    422: outcome("business-rule", "Unprocessable entity"),
}


def other_practitioner(server: SandboxServer) -> dict[str, str]:
    return {"reference": list(server.clinic.practitioners.values())[1].reference}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


CREATE: dict[str, tuple[int, object]] = {
    "good": (201, GOOD),
    "good, to a patient": (201, GOOD | {"recipient": [PATIENT], "sender": PRACTITIONER}),
    "good, without type": (201, GOOD | {"sender": {"reference": PATIENT["reference"]}}),
    "good, without sent and received": (
        201,
        {k: v for k, v in GOOD.items() if k not in {"sent", "received"}},
    ),
    "good, two texts": (201, GOOD | {"payload": [{"contentString": "one"}, {"contentString": "two"}]}),
    "not JSON": (400, b"{"),
    "not UTF-8": (400, b'"\xff"'),
    "not an object": (400, [GOOD]),
    "another type": (400, GOOD | {"resourceType": "Observation"}),
    "no type": (400, without("resourceType")),
    "status of the wrong type": (400, GOOD | {"status": 1}),
    "status unknown to FHIR": (400, GOOD | {"status": "delivered"}),
    "recipient not a list": (400, GOOD | {"recipient": PRACTITIONER}),
    "recipient without reference": (400, GOOD | {"recipient": [{"display": "somebody"}]}),
    "sender a list": (400, GOOD | {"sender": [PATIENT]}),
    "payload not a list": (400, GOOD | {"payload": {"contentString": "text"}}),
    "payload of nothing": (400, GOOD | {"payload": [{}]}),
    "empty text": (400, GOOD | {"payload": [{"contentString": ""}]}),
    "text with a NUL": (400, GOOD | {"payload": [{"contentString": "a\0b"}]}),
    "sent without offset": (400, GOOD | {"sent": "2022-04-29T13:30:00"}),
    "sent on no day": (400, GOOD | {"sent": "2022-02-30T13:30:00Z"}),
    "sent before the first year": (400, GOOD | {"sent": "0001-01-01T00:00:00+10:00"}),
    "received not an instant": (400, GOOD | {"received": "yesterday"}),
    "status missing": (422, without("status")),
    "recipient missing": (422, without("recipient")),
    "sender missing": (422, without("sender")),
    "payload missing": (422, without("payload")),
    "recipient empty": (422, GOOD | {"recipient": []}),
    "payload empty": (422, GOOD | {"payload": []}),
    "two recipients": (422, GOOD | {"recipient": [PRACTITIONER, PRACTITIONER]}),
    "an attachment": (422, GOOD | {"payload": [{"contentAttachment": {"title": "x-ray"}}]}),
    "a reference as content": (422, GOOD | {"payload": [{"contentReference": {"reference": "Media/1"}}]}),
    "a text and an attachment": (
        422,
        GOOD | {"payload": [*GOOD["payload"], {"contentAttachment": {"title": "x"}}]},
    ),
    "patient to patient": (422, GOOD | {"recipient": [PATIENT]}),
    "a group": (422, GOOD | {"recipient": [{"reference": "Group/1"}]}),
    "unknown patient": (422, GOOD | {"sender": {"reference": "Patient/ffffffffffffffffffffffffffffffff"}}),
    "unknown practitioner": (422, GOOD | {"recipient": [{"reference": "Practitioner/nobody"}]}),
}


@pytest.mark.parametrize("case", CREATE)
async def test_create_answers_as_documented(
    case: str, http: aiohttp.ClientSession, authorized: dict[str, str], server: SandboxServer
) -> None:
    """Each rule of create answers with its documented status and body, and only a 201 adds a message."""
    status, body = CREATE[case]
    before = server.clinic.message_count
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http.post("/Communication", data=data, headers=authorized) as answer:
        assert (answer.status, await answer.json(content_type=None)) == (status, DOCUMENTED[status])
        assert ("Location" in answer.headers) == (status == 201)
    assert server.clinic.message_count == before + (status == 201)


async def test_practitioner_to_practitioner_is_refused(
    http: aiohttp.ClientSession, authorized: dict[str, str], server: SandboxServer
) -> None:
    """A message between two practitioners, both of them known, is refused."""
    body = GOOD | {"sender": other_practitioner(server)}
    async with http.post("/Communication", json=body, headers=authorized) as answer:
        assert (answer.status, await answer.json(content_type=None)) == (422, DOCUMENTED[422])


@pytest.mark.parametrize("status", ["completed", "in-progress", "preparation", "unknown"])
async def test_status_on_create_depends_on_the_edition(
    status: str,
    edition: Edition,
    http: aiohttp.ClientSession,
    authorized: dict[str, str],
    server: SandboxServer,
) -> None:
    """The older edition takes `unknown` only and keeps it; the newer takes any and stores `completed`."""
    async with http.post("/Communication", json=GOOD | {"status": status}, headers=authorized) as answer:
        expected = 422 if edition == "seed" and status != "unknown" else 201
        assert (answer.status, await answer.json(content_type=None)) == (expected, DOCUMENTED[expected])
        location = answer.headers.get("Location", "")
    if expected == 201:
        number = server.clinic.number_of(location.split("/")[-3])
        assert number is not None
        stored = server.clinic.resource(number)
        assert stored["status"] == ("unknown" if edition == "seed" else "completed")
        assert stored.get("subject") == (None if edition == "seed" else PATIENT)


async def test_a_created_message_is_found_as_it_was_given(
    http: aiohttp.ClientSession, authorized: dict[str, str], server: SandboxServer
) -> None:
    """`Location` names a resource whose search by `_id`, sender and recipient returns what was posted."""
    async with http.post("/Communication", json=GOOD, headers=authorized) as answer:
        location = answer.headers["Location"]
    resource_id = location.split("/")[-3]
    assert location == f"{server.url}/Communication/{resource_id}/_history/1"
    for query in (
        {"_id": resource_id},
        {"sender": PATIENT["reference"], "recipient": PRACTITIONER["reference"]},
    ):
        async with http.get("/Communication", params=query | {"_count": "100"}, headers=authorized) as answer:
            entries = (await answer.json(content_type=None))["entry"]
        [found] = [entry["resource"] for entry in entries if entry["resource"]["id"] == resource_id]
        assert found["sent"] == "2022-04-29T13:30:00+00:00"
        assert found["received"] == "2022-04-29T13:45:00+00:00"
        assert {key: found[key] for key in ("recipient", "sender", "payload")} == {
            "recipient": GOOD["recipient"],
            "sender": GOOD["sender"],
            "payload": GOOD["payload"],
        }


async def test_a_missing_sent_depends_on_the_edition(
    edition: Edition, http: aiohttp.ClientSession, authorized: dict[str, str], server: SandboxServer
) -> None:
    """Without `sent` the older edition stores none, the newer the time of creation."""
    async with http.post("/Communication", json=without("sent"), headers=authorized) as answer:
        assert answer.status == 201
    *_, created = server.clinic
    assert ("sent" in created) == (edition == "current")


@pytest.mark.parametrize(
    ("since", "status"),
    [
        ("Sat, 29 Oct 1994 19:43:31 GMT", 412),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 201),
        ("not a date", 201),  # RFC 9110 §13.1.4: to be ignored
    ],
)
async def test_create_minds_if_unmodified_since(
    since: str, status: int, http: aiohttp.ClientSession, authorized: dict[str, str]
) -> None:
    """A precondition that lies before the last change is refused as documented."""
    headers = authorized | {"If-Unmodified-Since": since}
    async with http.post("/Communication", json=GOOD, headers=headers) as answer:
        assert (answer.status, await answer.json(content_type=None)) == (status, DOCUMENTED[status])


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_are_not_supported(
    method: str, http: aiohttp.ClientSession, authorized: dict[str, str]
) -> None:
    """What cannot be done to messages is answered 405, with what can in `Allow` (RFC 9110 §15.5.6)."""
    async with http.request(method, "/Communication", json=GOOD, headers=authorized) as answer:
        assert (answer.status, await answer.json(content_type=None)) == (405, DOCUMENTED[405])
        assert answer.headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("authorization", [None, "Bearer made-up", "Basic c2FuZGJveDpzYW5kYm94", "Bearer "])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_nothing_without_a_token(method: str, authorization: str | None, http: aiohttp.ClientSession) -> None:
    """Without a good token every request is answered 401, whatever else is wrong with it."""
    headers = {} if authorization is None else {"Authorization": authorization}
    async with http.request(method, "/Communication", headers=headers) as answer:
        assert (answer.status, await answer.json(content_type=None)) == (401, DOCUMENTED[401])


async def test_an_expired_token_is_refused(
    http: aiohttp.ClientSession, authorized: dict[str, str], server: SandboxServer
) -> None:
    """A token that was good is answered 401 once it has expired."""
    query = {"_id": EXAMPLE_ID}
    async with http.get("/Communication", params=query, headers=authorized) as answer:
        assert answer.status == 200
    server.expire_tokens()
    async with http.get("/Communication", params=query, headers=authorized) as answer:
        assert (answer.status, await answer.json(content_type=None)) == (401, DOCUMENTED[401])


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/Communication", "system/Communication.read"),
        ("GET", "/Communication", "system/Communication.write"),
        ("GET", "/Communication", "system/Practitioner.read system/Patient.read"),
        ("GET", "/Practitioner", "system/Communication.read"),
        ("GET", "/Patient", "system/Communication.read"),
    ],
)
async def test_a_token_without_the_scope_is_refused(
    method: str,
    path: str,
    scope: str,
    http: aiohttp.ClientSession,
    get_token: Callable[..., Awaitable[str]],
) -> None:
    """A token may do only what its scopes name."""
    headers = {"Authorization": f"Bearer {await get_token(scope)}"}
    async with http.request(method, path, json=GOOD, headers=headers) as answer:
        assert (answer.status, await answer.json(content_type=None)) == (403, DOCUMENTED[403])


async def test_search_serves_the_documented_example(http: aiohttp.ClientSession, authorized: dict[str, str]) -> None:
    """The search of Canvas's Communication page is answered with the body shown there, whole."""
    link = f"/Communication?_id={EXAMPLE_ID}&_count=10&_offset=0"
    async with http.get("/Communication", params={"_id": EXAMPLE_ID}, headers=authorized) as answer:
        assert answer.status == 200
        assert await answer.json(content_type=None) == {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": 1,
            "link": [
                {"relation": "self", "url": link},
                {"relation": "first", "url": link},
                {"relation": "last", "url": link},
            ],
            "entry": [
                {
                    "resource": {
                        "resourceType": "Communication",
                        "id": EXAMPLE_ID,
                        "status": "unknown",
                        "sent": "2021-03-21T10:46:17+00:00",
                        "received": "2022-03-14T12:03:58.958000+00:00",
                        "recipient": [PATIENT],
                        "sender": PRACTITIONER,
                        "payload": [{"contentString": "Similique amet at est necessitatibus repellendus eius."}],
                    }
                }
            ],
        }


SEARCH_400 = [
    "/Communication",
    "/Communication?_count=10",
    "/Communication?unheard-of=1",
    "/Communication?status=completed",
    "/Communication?recipient=",
    "/Communication?recipient=4c21512185184e579b09bfac16dfdd2f",
    "/Communication?sender=Group/1",
    "/Communication?sender=Patient/a/b",
    "/Communication?_id=",
    "/Communication?_id=a%20b",
    *(
        f"/{kind}_id={EXAMPLE_ID}&{paging}"
        for kind in ("Communication?", "Practitioner?", "Patient?")
        for paging in (
            "_count=0",
            "_count=-1",
            "_count=ten",
            "_count=",
            "_offset=-1",
            "_offset=1.5",
            "_offset=²",
        )
    ),
    "/Practitioner?active=perhaps",
    "/Practitioner?include-non-schedulable-practitioners=1",
]


@pytest.mark.parametrize("path", SEARCH_400)
async def test_a_malformed_search_is_refused(
    path: str, http: aiohttp.ClientSession, authorized: dict[str, str]
) -> None:
    """A search with no known parameter, or one of the wrong shape, is answered 400 as documented."""
    async with http.get(path, headers=authorized) as answer:
        assert (answer.status, await answer.json(content_type=None)) == (400, DOCUMENTED[400])


async def test_search_by_patient_is_of_the_newer_edition(
    edition: Edition, http: aiohttp.ClientSession, authorized: dict[str, str], server: SandboxServer
) -> None:
    """The newer edition finds what a patient sent and received; the older knows no such parameter."""
    async with http.get(
        "/Communication", params={"patient": PATIENT["reference"], "_count": "100"}, headers=authorized
    ) as answer:
        body = await answer.json(content_type=None)
    if edition == "seed":
        assert (answer.status, body) == (400, DOCUMENTED[400])
        return
    both = [server.clinic.search(side, PATIENT["reference"]) for side in ("sender", "recipient")]
    expected = {server.clinic.resource(number)["id"] for numbers in both for number in numbers}
    assert {entry["resource"]["id"] for entry in body["entry"]} == expected
    assert body["total"] == len(expected)


async def test_read_depends_on_the_edition(
    edition: Edition, http: aiohttp.ClientSession, authorized: dict[str, str]
) -> None:
    """The newer edition reads by id and answers 404 to an unknown one; the older supports no read."""
    async with http.get(f"/Communication/{EXAMPLE_ID}", headers=authorized) as answer:
        known = answer.status, await answer.json(content_type=None)
    async with http.get("/Communication/00000000-0000-4000-8000-000000000000", headers=authorized) as answer:
        unknown = answer.status, await answer.json(content_type=None)
    if edition == "seed":
        assert known == unknown == (405, DOCUMENTED[405])
    else:
        assert known[0] == 200
        assert known[1]["id"] == EXAMPLE_ID
        text = "Unknown Communication resource '00000000-0000-4000-8000-000000000000'"
        assert unknown == (404, outcome("not-found", text))


async def test_an_unknown_endpoint_is_an_outcome_too(http: aiohttp.ClientSession, authorized: dict[str, str]) -> None:
    """What the server has not is answered 404 with an OperationOutcome."""
    async with http.get("/Observation", headers=authorized) as answer:
        assert (answer.status, await answer.json(content_type=None)) == (
            404,
            outcome("not-found", "Unknown endpoint"),
        )
