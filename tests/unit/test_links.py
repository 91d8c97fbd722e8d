from __future__ import annotations

from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import PageFailed
from worker.extract.links import first_url, next_url, origin

ROOT = "https://fumage-acme.example.com"
PREFIXED = "https://fhir.example.com:8443/fhir/r4"


def test_the_first_url_percent_encodes_references() -> None:
    url = first_url(ROOT, "Communication", [("recipient", "Patient/4c21&x=ü")], 100)
    assert url == f"{ROOT}/Communication?recipient=Patient%2F4c21%26x%3D%C3%BC&_count=100"


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=4))
def test_whatever_is_searched_for_arrives_as_it_was_given(parameters: list[tuple[str, str]]) -> None:
    url = first_url(ROOT, "Communication", parameters, 7)
    assert parse_qsl(urlsplit(url).query, keep_blank_values=True) == [*parameters, ("_count", "7")]


@pytest.mark.parametrize(
    ("base", "link", "expected"),
    [
        (ROOT, "/Communication?a=Patient%2F1&_offset=10", f"{ROOT}/Communication?a=Patient%2F1&_offset=10"),
        (ROOT, "Communication?_offset=10", f"{ROOT}/Communication?_offset=10"),
        (ROOT, "?_offset=10", f"{ROOT}/Communication?_offset=10"),
        (ROOT, f"{ROOT}/Communication?_offset=10", f"{ROOT}/Communication?_offset=10"),
        (ROOT, f"{ROOT}:443/Communication?_offset=10", f"{ROOT}:443/Communication?_offset=10"),
        (
            ROOT,
            "HTTPS://FUMAGE-ACME.example.com/Communication?x=1",
            "https://FUMAGE-ACME.example.com/Communication?x=1",
        ),
        (ROOT, "//fumage-acme.example.com/Communication?x=1", f"{ROOT}/Communication?x=1"),
        (ROOT, "http://fumage-acme.example.com/Communication?x=1", f"{ROOT}/Communication?x=1"),
        (ROOT, "http://Fumage-Acme.example.com:80/Communication?x=1", f"{ROOT}/Communication?x=1"),
        (ROOT, "http://fumage-acme.example.com:8080/Communication?x=1", f"{ROOT}/Communication?x=1"),
        (PREFIXED, "http://fhir.example.com/fhir/r4/Communication?x=1", f"{PREFIXED}/Communication?x=1"),
        (ROOT, "/Communication?x=1#top", f"{ROOT}/Communication?x=1"),
        (ROOT, "/Communication?x=a b\r\nX: ü", f"{ROOT}/Communication?x=a%20b%0D%0AX:%20%C3%BC"),
        (PREFIXED, "/Communication?_offset=10", f"{PREFIXED}/Communication?_offset=10"),
        (PREFIXED, "/fhir/r4/Communication?_offset=10", f"{PREFIXED}/Communication?_offset=10"),
        (PREFIXED, "/fhir/r4?page=2", f"{PREFIXED}?page=2"),
        (PREFIXED, "/fhir/r4x?page=2", f"{PREFIXED}/fhir/r4x?page=2"),
        (PREFIXED, "Communication?_offset=10", f"{PREFIXED}/Communication?_offset=10"),
        (PREFIXED, f"{PREFIXED}/Communication?_offset=10", f"{PREFIXED}/Communication?_offset=10"),
    ],
)
def test_a_link_leads_where_its_server_means_it_to(base: str, link: str, expected: str) -> None:
    assert next_url(base, f"{base}/Communication?_count=10", link) == expected


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example.com/Communication?_offset=10",
        "http://evil.example.com/Communication?_offset=10",
        "http://user@fumage-acme.example.com/Communication?_offset=10",
        "https://fumage-acme.example.com:444/Communication",
        "//evil.example.com/Communication",
        "https://fumage-acme.example.com@evil.example.com/Communication",
        "https://user@fumage-acme.example.com/Communication",
        "https://fumage-acme.example.com.evil.example.com/",
        "https://fumage-acme.example.com\\@evil.example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
def test_a_link_to_anywhere_else_is_refused(link: str) -> None:
    with pytest.raises(PageFailed) as failed:
        next_url(ROOT, f"{ROOT}/Communication", link)
    assert failed.value.reason == "foreign_next"
    assert "evil" not in str(failed.value)


@pytest.mark.parametrize("link", ["https://[", "https://fumage-acme.example.com:port/", "//[::1"])
def test_a_link_that_is_no_url_is_refused(link: str) -> None:
    with pytest.raises(PageFailed) as failed:
        next_url(ROOT, f"{ROOT}/Communication", link)
    assert failed.value.reason == "bad_link"


@pytest.mark.parametrize(
    ("link", "named"),
    [
        (
            "https://inner.example.com:8080/fhir/Communication?recipient=Patient%2F1",
            "https://inner.example.com:8080/fhir.",
        ),
        ("https://fumage-acme.example.com:443:443/Communication?x=1", "https://fumage-acme.example.com:443:443."),
        ("https://patient of somebody/Communication?x=1", "the root of the same host."),
        ("https://[", "https://[."),
        ("//inner.example.com/Communication/_history?x", "//inner.example.com/Communication."),
    ],
)
def test_a_link_that_is_refused_is_named_beside_the_base_url(link: str, named: str) -> None:
    """Without what it searches for: that may be a patient."""
    with pytest.raises(PageFailed) as failed:
        next_url(ROOT, f"{ROOT}/Communication", link)
    assert failed.value.next.startswith(f"CANVAS_FHIR_URL is {ROOT}, and a `next` link leads to {named}")
    assert "Patient" not in failed.value.next
    assert "somebody" not in failed.value.next


@given(
    st.sampled_from([ROOT, PREFIXED]),
    st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.text("/:@?#%[]\\.h\t"),
)
def test_no_link_whatever_it_holds_leads_to_another_origin(base: str, link: str) -> None:
    with suppress(PageFailed):
        url = next_url(base, f"{base}/Communication?_count=10", link)
        assert origin(url) == origin(base)
        assert url.isascii()
        assert not any(c <= " " for c in url)
