"""FHIR libraries that know nothing of this project accept what the sandbox serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.communication import Communication
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.patient import Patient
from fhir.resources.R4B.practitioner import Practitioner
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, ResourceNotFound
from fhirpy.base.exceptions import OperationOutcome as OperationOutcomeError

if TYPE_CHECKING:
    import aiohttp

    from worker.sandbox.population import Edition
    from worker.sandbox.sandbox_server import SandboxServer

PATIENT = "Patient/4c21512185184e579b09bfac16dfdd2f"
PRACTITIONER = "Practitioner/4150cd20de8a470aa570a852859ac87e"
EXAMPLE_ID = "7433b4b2-0d18-45ca-bb12-71105c80386b"


@pytest.fixture
def client(server: SandboxServer, authorized: dict[str, str]) -> AsyncFHIRClient:
    return AsyncFHIRClient(server.url, authorization=authorized["Authorization"])


async def json_of(http: aiohttp.ClientSession, headers: dict[str, str], path: str) -> dict[str, Any]:
    async with http.get(path, headers=headers) as answer:
        body: dict[str, Any] = await answer.json(content_type=None)
        return body


async def test_fhirpy_follows_our_pages(client: AsyncFHIRClient, server: SandboxServer) -> None:
    """A search of several pages is read by its links, and every message of it comes once."""
    found = await client.resources("Communication").search(sender=PRACTITIONER).limit(25).fetch_all()
    expected = [server.clinic.resource(number)["id"] for number in server.clinic.search("sender", PRACTITIONER)]
    assert len(expected) > 50
    assert [one["id"] for one in found] == expected


async def test_fhirpy_finds_one_by_id(client: AsyncFHIRClient) -> None:
    """A message is found by `_id` in either edition."""
    found = await client.resources("Communication").search(_id=EXAMPLE_ID).get()
    assert found["sender"]["reference"] == PRACTITIONER


async def test_fhirpy_reads_in_the_newer_edition_only(client: AsyncFHIRClient, edition: Edition) -> None:
    """Its read works in the newer edition, and is told `not-supported` in the older."""
    if edition == "current":
        assert (await client.get("Communication", EXAMPLE_ID))["id"] == EXAMPLE_ID
        with pytest.raises(ResourceNotFound, match="not-found"):
            await client.get("Communication", "nothing")
    else:
        with pytest.raises(OperationOutcomeError, match="Operation is not supported"):
            await client.get("Communication", EXAMPLE_ID)


async def test_fhirpy_creates(client: AsyncFHIRClient, server: SandboxServer) -> None:
    """It creates a message, and understands the refusal of one that breaks a rule."""
    message = client.resource(
        "Communication",
        status="unknown",
        sender=client.reference("Patient", PATIENT.split("/")[1]),
        recipient=[client.reference("Practitioner", PRACTITIONER.split("/")[1])],
        payload=[{"contentString": "Created through fhirpy"}],
    )
    await message.create()
    *_, created = server.clinic
    assert created["payload"] == [{"contentString": "Created through fhirpy"}]
    message["recipient"] = []
    with pytest.raises(OperationOutcomeError, match="business-rule"):
        await message.create()


async def test_fhirpy_reads_people(client: AsyncFHIRClient, server: SandboxServer) -> None:
    """It reads all patients by their pages."""
    found = await client.resources("Patient").limit(15).fetch_all()
    assert [one["id"] for one in found] == list(server.clinic.patients)


async def test_fhirpy_understands_a_401(server: SandboxServer) -> None:
    """It understands that its token is no good."""
    with pytest.raises(AuthorizationError, match="Authentication failed"):
        await AsyncFHIRClient(server.url, authorization="Bearer nothing").resources("Patient").fetch()


async def test_pages_are_valid_r4b(http: aiohttp.ClientSession, authorized: dict[str, str]) -> None:
    """Full, empty and past-the-end pages of all three resources validate as R4B Bundles."""
    for path in (
        f"/Communication?sender={PRACTITIONER}&_count=100",
        f"/Communication?recipient={PRACTITIONER}&_count=100",
        "/Communication?recipient=Practitioner/nobody",
        f"/Communication?recipient={PRACTITIONER}&_offset=5000",
        "/Practitioner?_count=100",
        "/Patient?_count=100",
    ):
        body = await json_of(http, authorized, path)
        assert Bundle.model_validate(body).total == body["total"]


def test_every_resource_is_valid_r4b(server: SandboxServer) -> None:
    """Every message, patient and practitioner of the clinic validates as R4B."""
    for message in server.clinic:
        assert Communication.model_validate(message).id == message["id"]
    for patient in server.clinic.patients.values():
        Patient.model_validate(patient.resource())
    for practitioner in server.clinic.practitioners.values():
        Practitioner.model_validate(practitioner.resource())


async def test_outcomes_are_valid_r4b(http: aiohttp.ClientSession, authorized: dict[str, str]) -> None:
    """Refusals of every kind validate as R4B OperationOutcomes."""
    for headers, path in (
        ({}, "/Patient"),
        (authorized, "/Communication"),
        (authorized, "/Communication/nothing"),
        (authorized, "/Nothing"),
    ):
        body = await json_of(http, headers, path)
        assert OperationOutcome.model_validate(body).issue[0].severity == "error"


async def test_capability_statement_is_valid(http: aiohttp.ClientSession, edition: Edition) -> None:
    """`/metadata` needs no token, validates as R4B, and names the edition."""
    statement = await json_of(http, {}, "/metadata")
    assert CapabilityStatement.model_validate(statement).fhirVersion == "4.0.1"
    assert f"{edition} edition" in statement["implementation"]["description"]
