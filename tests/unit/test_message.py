"""Assembly of a row from a Communication."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.rows import to_message
from tests.unit.markup import markup, unhurried
from worker.records import Body, Communication, Quality, Reference
from worker.transform.bodies import ReadHtml
from worker.transform.cutoff import Cutoff
from worker.transform.message import Rules, rules_version, slow_bodies, to_messages
from worker.transform.slow import SMALL_CHARACTERS, SMALL_TAGS

INSTANT = datetime(2022, 10, 27, 0, 0, tzinfo=UTC)
RULES = Rules(Cutoff(INSTANT, INSTANT + timedelta(hours=1)))
BEFORE, AFTER = INSTANT - timedelta(days=1), INSTANT + timedelta(days=1)
PATIENT, OTHER_PATIENT = Reference("Patient", "a" * 32), Reference("Patient", "b" * 32)
DOCTOR, NURSE = Reference("Practitioner", "c" * 32), Reference("Practitioner", "d" * 32)
TEAM = Reference("CareTeam", "e" * 32)
NOTHING = Body(text=None, html=None, format=None, basis=None)


def communication(*payloads: str | None, sent: datetime | None = AFTER) -> Communication:
    return Communication(
        id="7433b4b2-0d18-45ca-bb12-71105c80386b",
        status="completed",
        sent=sent,
        received=AFTER,
        sender=DOCTOR,
        recipients=(PATIENT,),
        payloads=payloads,
        resource=b"{}",
        raw_hash=b"r",
        content_hash=b"c",
    )


@pytest.mark.parametrize(
    ("status", "delivery"),
    [
        ("completed", "sent"),
        ("preparation", "draft"),
        ("in-progress", "scheduled"),
        ("unknown", "unknown"),
        ("on-hold", "scheduled"),
        ("not-done", "void"),
        ("stopped", "void"),
        ("entered-in-error", "void"),
        ("something-else", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_delivery_follows_the_status(status: str | None, delivery: str) -> None:
    message = to_message(replace(communication("a"), status=status), RULES)
    assert (message.status, message.delivery) == (status, delivery)


@pytest.mark.parametrize(
    ("sender", "recipients", "direction", "patient", "practitioner"),
    [
        (PATIENT, (DOCTOR,), "patient_to_practitioner", PATIENT, DOCTOR),
        (DOCTOR, (PATIENT,), "practitioner_to_patient", PATIENT, DOCTOR),
        (PATIENT, (OTHER_PATIENT, NURSE, DOCTOR), "patient_to_practitioner", PATIENT, NURSE),
        (DOCTOR, (NURSE, TEAM, OTHER_PATIENT, PATIENT), "practitioner_to_patient", OTHER_PATIENT, DOCTOR),
        (DOCTOR, (NURSE,), "unknown", None, DOCTOR),
        (PATIENT, (OTHER_PATIENT,), "unknown", PATIENT, None),
        (PATIENT, (), "unknown", PATIENT, None),
        (PATIENT, (TEAM,), "unknown", PATIENT, None),
        (TEAM, (PATIENT, DOCTOR), "unknown", PATIENT, DOCTOR),
        (None, (PATIENT,), "unknown", PATIENT, None),
        (None, (), "unknown", None, None),
        (TEAM, (TEAM,), "unknown", None, None),
    ],
)
def test_direction_and_sides(
    sender: Reference | None,
    recipients: tuple[Reference, ...],
    direction: str,
    patient: Reference | None,
    practitioner: Reference | None,
) -> None:
    message = to_message(replace(communication("a"), sender=sender, recipients=recipients), RULES)
    assert message.direction == direction
    assert message.patient_id == (patient.id if patient else None)
    assert message.practitioner_id == (practitioner.id if practitioner else None)
    assert (message.sender, message.recipients) == (sender, recipients)


@pytest.mark.parametrize(
    ("source", "body"),
    [
        (communication(), NOTHING),
        (communication(None), NOTHING),
        (communication(""), Body(text="", html=None, format="plain", basis="no_markup")),
        (communication("BP <120/80\n ok "), Body("BP <120/80\n ok ", None, "plain", "no_markup")),
        (communication("<p>a</p>", sent=BEFORE), Body("<p>a</p>", None, "plain", "before_cutoff")),
        (communication("<p>a</p>\n"), Body("a", "<p>a</p>\n", "html", "after_cutoff")),
        (communication("<p>a</p>", sent=None), Body("a", "<p>a</p>", "html", "no_sent")),
        (communication("<p>a</p>", sent=INSTANT), Body("a", "<p>a</p>", "html", "cutoff_hour")),
    ],
)
def test_the_body_of_one_payload_or_none(source: Communication, body: Body) -> None:
    message = to_message(source, RULES)
    assert message.body == body
    assert message.payloads == ()
    assert message.payload_count == len(source.payloads)


def test_several_payloads_are_joined_by_a_blank_line_and_kept_each() -> None:
    message = to_message(communication("5 < 6\n!", None, "<p>b</p>", ""), RULES)
    assert message.body == Body(
        text="5 < 6\n!\n\nb\n\n",
        html='<div style="white-space:pre-wrap">5 &lt; 6\n!</div><div><p>b</p></div>'
        '<div style="white-space:pre-wrap"></div>',
        format="html",
        basis="after_cutoff",
    )
    assert message.payloads == (
        Body("5 < 6\n!", None, "plain", "no_markup"),
        NOTHING,
        Body("b", "<p>b</p>", "html", "after_cutoff"),
        Body("", None, "plain", "no_markup"),
    )
    assert message.payload_count == 4


def test_several_plain_payloads_are_plain() -> None:
    message = to_message(communication("a", "b", sent=BEFORE), RULES)
    assert message.body == Body("a\n\nb", None, "plain", "before_cutoff")
    assert len(message.payloads) == 2


def test_several_payloads_without_content_have_no_body() -> None:
    message = to_message(communication(None, None), RULES)
    assert (message.body, message.payloads, message.payload_count) == (NOTHING, (NOTHING, NOTHING), 2)


def test_one_content_among_several_payloads_is_the_body() -> None:
    message = to_message(communication(None, "<p>a</p>"), RULES)
    assert message.body == Body("a", "<p>a</p>", "html", "after_cutoff")
    assert message.payloads == (NOTHING, message.body)


def test_what_could_only_be_read_plainly_has_no_html_and_says_so() -> None:
    read = {"<p>bomb": ReadHtml("word", None)}
    over = Body("word", None, "html", "after_cutoff")
    message = to_message(communication("<p>bomb"), RULES, read)
    assert (message.body, message.quality) == (over, (Quality.OVER_CAPS,))
    several = to_message(communication("<p>a</p>", "<p>bomb"), RULES, read)
    assert several.body == Body("a\n\nword", None, "html", "after_cutoff")
    assert several.payloads == (Body("a", "<p>a</p>", "html", "after_cutoff"), over)
    assert several.quality == (Quality.OVER_CAPS,)
    assert to_message(communication("a", "<p>a</p>"), RULES, read).quality == ()


def test_slow_are_large_bodies_that_are_html() -> None:
    large, larger, plain = "<p>a" * (SMALL_TAGS + 1), "<p>b" * (SMALL_TAGS + 1), "a" * (SMALL_CHARACTERS + 1)
    page = [communication(large, "<p>c", None, plain), communication(larger, large), communication(large, sent=BEFORE)]
    assert slow_bodies(page, RULES) == [large, larger]


def test_what_came_with_the_resource_is_carried_over() -> None:
    source = communication("a")
    message = to_message(source, RULES)
    assert (message.id, message.sent_at, message.received_at) == (source.id, source.sent, source.received)
    assert (message.resource, message.raw_hash, message.content_hash) == (b"{}", b"r", b"c")


@pytest.mark.parametrize(
    ("cutoff", "version"),
    [
        (RULES.cutoff, "2@2022-10-27T00:00:00Z/2022-10-27T01:00:00Z"),
        (Cutoff(INSTANT, INSTANT), "2@2022-10-27T00:00:00Z"),
        (Cutoff(AFTER, AFTER), "2@2022-10-28T00:00:00Z"),
    ],
)
def test_the_version_of_the_rules_names_the_cutoff(cutoff: Cutoff, version: str) -> None:
    assert rules_version(Rules(cutoff)) == version
    assert to_message(communication("a"), Rules(cutoff)).rules_version == version


@unhurried
@given(st.text())
def test_plain_text_is_untouched_before_the_cutoff(content: str) -> None:
    assert to_message(communication(content, sent=BEFORE), RULES).body.text == content


@unhurried
@given(st.lists(st.none() | markup, max_size=4), st.sampled_from([BEFORE, INSTANT, AFTER, None]))
def test_every_communication_is_a_message(payloads: list[str | None], sent: datetime | None) -> None:
    message = to_message(communication(*payloads, sent=sent), RULES)
    assert message.payload_count == len(payloads)
    assert len(message.payloads) == (len(payloads) if len(payloads) > 1 else 0)
    assert (message.body.text is None) == all(payload is None for payload in payloads)
    assert (message.body.html is None) == (message.body.format != "html")


SENT = st.sampled_from([BEFORE, INSTANT, AFTER, None])
PAYLOADS = st.lists(st.none() | st.sampled_from(["a", "<p>a</p>"]) | markup, max_size=3)


@unhurried
@given(st.lists(st.builds(lambda payloads, sent: communication(*payloads, sent=sent), PAYLOADS, SENT), max_size=5))
def test_a_page_reads_as_its_communications_one_by_one(page: list[Communication]) -> None:
    """The same body can be plain in one of them and HTML in another."""
    assert to_messages(page, RULES) == [to_message(one, RULES) for one in page]
