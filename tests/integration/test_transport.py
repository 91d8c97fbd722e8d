"""TLS, proxies and the environment, with real sockets and a certificate authority made for the test."""

from __future__ import annotations

import asyncio
import base64
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.integration.loopback import SEARCH, FakeClock, Upstream, body, bundle, page, settings_for
from worker.errors import EXIT_USAGE, SettingsError, SourceAway
from worker.extract.client import Source
from worker.extract.transport import proxy_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from worker.records import Page


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def serving_as(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def first_page_of(url: str, clock: FakeClock | None = None, **more: str) -> Page:
    async with Source.open(settings_for(url, **more), clock=(clock or FakeClock()).clock()) as source:
        return await source.first_page("Communication", SEARCH)


class Tunnels:
    """A proxy that knows CONNECT only, and leads every tunnel to the same port of this machine."""

    def __init__(self, port: int, *, status: str = "200 OK") -> None:
        self.port = port
        self.status = status
        self.heads: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Tunnels]:
        server = await asyncio.start_server(self.handle, "127.0.0.1", 0)
        async with server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
        if not self.status.startswith("200"):
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
    finally:
        writer.close()


async def test_a_certificate_of_an_unknown_authority_is_refused_at_once(authority: trustme.CA) -> None:
    clock, upstream = FakeClock(), Upstream()
    async with upstream.serve(tls=serving_as(authority, "127.0.0.1")):
        with pytest.raises(SettingsError, match="not trusted") as away:
            await first_page_of(upstream.url, clock)
    assert away.value.exit_code == EXIT_USAGE  # as of the warehouse: no waiting mends it
    assert "MIRROR_CA_FILE" in away.value.next
    assert (clock.waits, upstream.seen) == ([], [])


async def test_a_certificate_of_the_private_authority_is_accepted(authority: trustme.CA, ca_file: str) -> None:
    upstream = Upstream()
    async with upstream.serve(tls=serving_as(authority, "127.0.0.1")):
        assert await first_page_of(upstream.url, MIRROR_CA_FILE=ca_file)


async def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, ca_file: str) -> None:
    upstream = Upstream()
    async with upstream.serve(tls=serving_as(authority, "elsewhere.test")):
        with pytest.raises(SettingsError, match="not trusted"):
            await first_page_of(upstream.url, MIRROR_CA_FILE=ca_file)
    assert upstream.seen == []


async def test_an_https_url_of_a_plain_port_is_explained() -> None:
    async with Upstream().serve() as upstream:
        with pytest.raises(SourceAway, match="is the port an https one"):
            await first_page_of(upstream.url.replace("http:", "https:"))


async def test_a_ca_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(SettingsError, match="MIRROR_CA_FILE"):
        await first_page_of("https://127.0.0.1:9", MIRROR_CA_FILE=str(path))


async def test_https_goes_through_the_proxy_and_the_token_stays_inside(
    authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = Upstream()
    async with upstream.serve(tls=serving_as(authority, "source.test")), Tunnels(upstream.port).serve() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("://", "://us%40er:pass@"))
        assert await first_page_of("https://source.test", MIRROR_CA_FILE=ca_file)
    (head,) = proxy.heads
    assert head.startswith("CONNECT source.test:443 HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'us@er:pass').decode()}" in head
    assert "ready-token" not in head
    (seen,) = upstream.seen
    assert seen.headers["Authorization"] == "Bearer ready-token"
    assert "Proxy-Authorization" not in seen.headers


async def test_a_certificate_is_verified_through_a_proxy_too(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = Upstream()
    async with upstream.serve(tls=serving_as(authority, "source.test")), Tunnels(upstream.port).serve() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(SettingsError, match="not trusted"):
            await first_page_of("https://source.test")
    assert upstream.seen == []


async def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Tunnels(0, status="407 Proxy Authentication Required").serve() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(SourceAway, match="HTTPS_PROXY"):
            await first_page_of("https://source.test")


async def test_no_proxy_leads_past_the_proxy(
    authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = Upstream()
    async with upstream.serve(tls=serving_as(authority, "127.0.0.1")), Tunnels(upstream.port).serve() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        assert await first_page_of(upstream.url, MIRROR_CA_FILE=ca_file)
    assert proxy.heads == []


async def test_plain_http_never_leaves_this_machine_by_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Upstream().serve() as upstream:
        assert await first_page_of(upstream.url)


async def test_a_netrc_puts_nothing_in_place_of_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with Upstream().serve() as upstream:
        assert await first_page_of(upstream.url)
    assert upstream.seen[0].headers["Authorization"] == "Bearer ready-token"


@pytest.mark.parametrize(
    ("proxy", "url"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("proxy.test:3128", "http://proxy.test:3128"),
        ("https://u:p@proxy.test", "https://proxy.test"),
    ],
)
def test_a_proxy_is_read_from_the_environment(proxy: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", ".inside.test")
    found = proxy_of("https://source.test/fhir")
    assert found is not None
    assert found.url == url
    assert "p@" not in repr(found)
    assert proxy_of("https://fhir.inside.test") is None


@pytest.mark.parametrize("proxy", ["socks5://proxy.test", "http://", "http://[::1", "http://proxy.test:port"])
def test_a_proxy_that_is_none_is_named(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SettingsError, match="HTTPS_PROXY"):
        proxy_of("https://source.test")


# What stands before the source writes


async def test_a_response_header_of_many_thousand_characters_is_read() -> None:
    """A Content-Security-Policy grows; up to 64 KiB it is nobody's fault."""
    long = body(bundle("a"), Content_Security_Policy="default-src " + "https://cdn.example.com " * 2600)
    async with Upstream(otherwise=long).serve() as upstream:
        assert len((await first_page_of(upstream.url)).entries) == 1


async def test_a_byte_order_mark_before_json_is_skipped() -> None:
    """Of a page and of a token."""
    async with Upstream(otherwise=body(b"\xef\xbb\xbf" + bundle("a"))).serve() as upstream:
        upstream.tokens = body(b'\xef\xbb\xbf{"access_token": "token-1", "expires_in": 36000}')
        assert len((await first_page_of(upstream.url)).entries) == 1
        more = {"CANVAS_TOKEN": "", "CANVAS_CLIENT_ID": "mirror", "CANVAS_CLIENT_SECRET": "secret"}
        assert len((await first_page_of(upstream.url, None, **more)).entries) == 1
    assert upstream.seen[-1].headers["Authorization"] == "Bearer token-1"


async def test_a_next_link_by_plain_http_to_the_same_host_is_asked_for_by_https(
    authority: trustme.CA, ca_file: str
) -> None:
    """Where a proxy ends TLS, the source believes that it speaks http. Nothing is sent in the clear."""
    upstream = Upstream()
    async with upstream.serve(tls=serving_as(authority, "127.0.0.1")):
        upstream.script.append(page("a", total=2, following="http://127.0.0.1/Communication?_offset=1"))
        upstream.script.append(page("b", total=2))
        settings = settings_for(upstream.url, MIRROR_CA_FILE=ca_file)
        async with Source.open(settings, clock=FakeClock().clock()) as source:
            pages = [one async for one in source.walk("Communication", SEARCH)]
    assert [one.url for one in pages[1:]] == [f"{upstream.url}/Communication?_offset=1"]


async def test_an_untrusted_certificate_says_what_the_tls_library_says(authority: trustme.CA, ca_file: str) -> None:
    async with Upstream().serve(tls=serving_as(authority, "elsewhere.test")) as upstream:
        with pytest.raises(SettingsError, match="not trusted: unable to get local issuer certificate"):
            await first_page_of(upstream.url)
        with pytest.raises(SettingsError, match="not trusted: IP address mismatch"):
            await first_page_of(upstream.url, MIRROR_CA_FILE=ca_file)


async def test_an_authority_that_is_named_need_not_be_as_strict_verification_wants_it(
    authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.13 and newer verify strictly by default; so does this test with an older one."""
    contexts: list[ssl.SSLContext] = []

    def strict() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        contexts.append(context)
        return context

    monkeypatch.setattr("ssl.create_default_context", strict)
    async with Upstream().serve(tls=serving_as(authority, "127.0.0.1")) as upstream:
        assert await first_page_of(upstream.url, MIRROR_CA_FILE=ca_file)
        with pytest.raises(SettingsError, match="not trusted"):
            await first_page_of(upstream.url)
    assert [bool(one.verify_flags & ssl.VERIFY_X509_STRICT) for one in contexts] == [False, True]
