"""The table of answers: every status with every body means one thing, with a word for the ledger and advice on it."""

from __future__ import annotations

import json
from itertools import product

import pytest

from worker.advice import TABLE, advise
from worker.extract.answers import Means, judge, reason, said_in_fhir, said_in_oauth
from worker.extract.operation_outcome import ISSUE_TYPES, TRANSIENT

STATUSES = (*range(200, 209), *range(300, 309), *range(400, 432), 451, 499, *range(500, 512), 520, 530, 599)
NO_FHIR = {
    "nothing": b"",
    "a web page": b"<!DOCTYPE html><html><body>Access denied</body></html>",
    "a web page after white space": b"\r\n  <html>",
    "a sentence": b"default backend - 404",
    "JSON of a gateway": b'{"message": "Forbidden"}',
    "half an outcome": b'{"resourceType": "OperationOutcome", "issue": [{"co',
    "no text": b"\xff\xfe\x00",
    "a list": b"[]",
}


def outcome(*codes: str) -> bytes:
    issues = [{"severity": "error", "code": code, "details": {"text": "words"}} for code in codes]
    return json.dumps({"resourceType": "OperationOutcome", "issue": issues}).encode()


FHIR = {
    "forbidden": outcome("forbidden"),
    "not-found": outcome("not-found"),
    "a code that is none": outcome("words of a patient"),
    "no code": outcome(),
    "throttled": outcome("throttled"),
    "timeout and more": outcome("informational", "timeout"),
    "another resource": b'{"resourceType": "CapabilityStatement"}',
}


def expected(status: int, body: bytes) -> Means:
    """Say once more, in the order of the issue's words, what an answer means."""
    codes = {issue["code"] for issue in json.loads(body).get("issue", [])} if body in FHIR.values() else set()
    if status == 401:
        return Means.RENEW
    if status in {429, 503} or "throttled" in codes:
        return Means.SLOW_DOWN
    if status in {408, 425} or status >= 500 or codes & TRANSIENT:
        return Means.AGAIN
    if body in NO_FHIR.values():
        return Means.AWAY
    refuses = 400 <= status < 500 and b"OperationOutcome" in body
    # Nothing of the source's own that is no refusal makes it away.
    return Means.FINAL if refuses else Means.AGAIN


@pytest.mark.parametrize("name", [*NO_FHIR, *FHIR])
def test_the_table(name: str) -> None:
    """All statuses with this body."""
    body = (NO_FHIR | FHIR)[name]
    said = said_in_fhir(body)
    assert said.codes <= ISSUE_TYPES, "no other word of the source leaves this module"
    for status in STATUSES:
        means = judge(status, said)
        assert means is expected(status, body), status
        word = reason(status, means, said)
        assert advise([word], "again"), word
        assert word.startswith(("http_", "not_fhir_", "redirect", "operation_outcome"))


@pytest.mark.parametrize("status", [400, 403, 404, 410, 422])
def test_only_the_sources_own_word_is_final(status: int) -> None:
    assert judge(status, said_in_fhir(outcome("forbidden"))) is Means.FINAL
    assert all(judge(status, said_in_fhir(body)) is Means.AWAY for body in NO_FHIR.values())
    assert all(judge(status, said_in_fhir(outcome(code))) is not Means.FINAL for code in TRANSIENT)


@pytest.mark.parametrize(
    ("status", "body", "means"),
    [
        (400, b'{"error": "invalid_request"}', Means.FINAL),
        (401, b'{"error": "invalid_client", "error_description": "words"}', Means.FINAL),
        (403, b'{"error": "access_denied"}', Means.FINAL),
        (401, b'{"error": "temporarily_unavailable"}', Means.AGAIN),
        (401, b"<html>", Means.AWAY),
        (401, b"", Means.AWAY),
        (403, b"<html>Blocked</html>", Means.AWAY),
        (403, b'{"error": "Access denied by policy 7"}', Means.AWAY),
        (403, b'{"message": "Forbidden"}', Means.AWAY),
        (404, b"default backend - 404", Means.AWAY),
        (200, b"<html>Maintenance</html>", Means.AWAY),
        (200, b"{}", Means.AWAY),
        (302, b"", Means.AWAY),
        (429, b'{"error": "slow_down"}', Means.SLOW_DOWN),
        (503, b"<html>", Means.SLOW_DOWN),
        (408, b"", Means.AGAIN),
        (500, b'{"error": "server_error"}', Means.AGAIN),
    ],
)
def test_of_a_token_endpoint_its_own_error_is_final(status: int, body: bytes, means: Means) -> None:
    assert judge(status, said_in_oauth(body), takes_tokens=False) is means


def test_a_firewalls_refusal_and_the_sources_own_have_other_words() -> None:
    def word(status: int, body: bytes) -> str:
        said = said_in_fhir(body)
        return reason(status, judge(status, said), said)

    assert word(403, outcome("forbidden")) == "http_403"
    assert word(403, b"<html>") == "not_fhir_403"
    assert word(302, b"") == "redirect"
    assert word(503, b"<html>") == "http_503"
    assert word(429, outcome("throttled")) == "http_429"
    assert word(403, outcome("throttled")) == "operation_outcome"


def test_the_advice_on_a_firewall_is_not_a_scope() -> None:
    rows = {word: sentence for words, sentence in TABLE for word in words.split()}
    for status, body in product((403, 404), NO_FHIR.values()):
        said = said_in_fhir(body)
        (sentence,) = advise([reason(status, judge(status, said), said)], "message-mirror sync")
        assert "scope" not in sentence
        assert sentence != rows["http_403"]
