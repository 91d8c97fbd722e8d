"""TLS to PostgreSQL: which server is believed, and which client it gets to see."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from worker.errors import SettingsError
from worker.extract.transport import tls_context
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.dsn import connect_arguments, is_local

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

# In this form a loopback address is, to the mirror, a host beyond this machine.
HOST = "127.1"
PATIENCE = timedelta(seconds=10)
CLIENT = "&sslcert={files}/client.pem&sslkey={files}/client.key"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Give a directory with an authority, another one, and a server's and a client's certificate by the first."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "another_ca.pem")
    for name, of in {"server": HOST, "client": "mirror.example.com"}.items():
        issued = authority.issue_cert(of)
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    (tmp_path / "no.pem").touch()
    return tmp_path


@asynccontextmanager
async def behind_tls(database_dsn: str, files: Path) -> AsyncIterator[tuple[int, list[str]]]:
    """Speak TLS for the tests' PostgreSQL, whose build cannot. Give the port, and the names of clients as they come."""
    there = urlsplit(database_dsn)
    place = parse_qs(there.query)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files / "ca.pem"))
    context.load_cert_chain(files / "server.pem", files / "server.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    shown: list[str] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(8)
            writer.write(b"S")
            await writer.start_tls(context)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()  # the client does not believe us
            return
        peer = writer.get_extra_info("peercert") or {}
        shown.append(next((name for kind, name in peer.get("subjectAltName", ()) if kind == "DNS"), ""))
        socket = f"{place['host'][-1]}/.s.PGSQL.{place['port'][-1]}"
        from_server, to_server = await asyncio.open_unix_connection(socket)
        await asyncio.gather(pump(reader, to_server), pump(from_server, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], shown


@pytest.fixture(autouse=True)
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have nothing below HOME, as a service has not."""
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


async def clients_shown(query: str, files: Path, database_dsn: str) -> list[str]:
    """Connect with `query`, and return whom the server got to see."""
    there = urlsplit(database_dsn)
    async with behind_tls(database_dsn, files) as (port, shown):
        dsn = f"postgresql://mirror@{HOST}:{port}{there.path}?{query.format(files=files).removeprefix('&')}"
        assert not is_local(dsn)
        async with open_warehouse(dsn, "canvas", PATIENCE) as warehouse:
            assert await warehouse.work(lambda connection: connection.fetchval("SELECT 1")) == 1
        return shown


@pytest.mark.parametrize("mode", ["", "&sslmode=verify-full", "&sslmode=require"])
async def test_a_client_certificate_is_shown(mode: str, files: Path, database_dsn: str) -> None:
    assert await clients_shown("sslrootcert={files}/ca.pem" + mode + CLIENT, files, database_dsn) == [
        "mirror.example.com"
    ]


@pytest.mark.parametrize("query", ["", "sslmode=verify-full", "sslmode=verify-full&sslrootcert=system"])
async def test_the_systems_authorities_are_believed(
    query: str, files: Path, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each form that `check` recommends, with nothing below HOME."""
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "ca.pem"))
    assert await clients_shown(query + CLIENT, files, database_dsn) == ["mirror.example.com"]
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "another_ca.pem"))
    with pytest.raises(SettingsError, match="certificate is not trusted"):
        await clients_shown(query + CLIENT, files, database_dsn)


async def test_verify_full_looks_where_libpq_looks(
    files: Path, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable, then HOME; without a mode neither changes whom we believe."""
    monkeypatch.setenv("PGSSLROOTCERT", str(files / "ca.pem"))
    assert await clients_shown("sslmode=verify-full" + CLIENT, files, database_dsn) == ["mirror.example.com"]
    with pytest.raises(SettingsError, match="certificate is not trusted"):
        await clients_shown(CLIENT, files, database_dsn)
    monkeypatch.delenv("PGSSLROOTCERT")
    below = files / "nobody" / ".postgresql"
    below.mkdir(parents=True)
    for name, source in {"root.crt": "ca.pem", "postgresql.crt": "client.pem", "postgresql.key": "client.key"}.items():
        (below / name).write_bytes((files / source).read_bytes())
    assert await clients_shown("sslmode=verify-full", files, database_dsn) == ["mirror.example.com"]


async def test_no_client_certificate_is_shown_unless_named(files: Path, database_dsn: str) -> None:
    assert await clients_shown("sslrootcert={files}/ca.pem", files, database_dsn) == [""]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("sslrootcert={files}/ca.pem&sslcert={files}/ca.pem", "client certificate"),
        ("sslrootcert={files}/ca.pem&sslcert={files}/client.pem", "client certificate"),
        ("sslmode=verify-full&sslrootcert={files}/no.pem", "sslrootcert"),
        ("sslrootcert={files}/ca.pem&sslcrl={files}/no.pem", "sslcrl"),
        ("sslmode=require&sslrootcert=system", "sslrootcert=system"),
        ("sslcert=system", "sslcert"),
        ("ssl_min_protocol_version=TLSv9", "version of TLS"),
        ("sslmode=verify-full&ssl_max_protocol_version=x", "version of TLS"),
    ],
)
def test_what_cannot_be_used_is_named(query: str, word: str, files: Path) -> None:
    """Before anybody is asked, and nothing of the URL is quoted."""
    with pytest.raises(SettingsError, match=word) as wrong:
        connect_arguments(f"postgresql://canary@db.example.com/x?{query.format(files=files)}")
    assert wrong.value.next
    assert "canary" not in wrong.value.told()
    assert str(files) not in wrong.value.told()


# The key's password is "made-up".
CLOSED = """\
-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUbEN2cCyPFAb4dCJP0bWontmy0MAwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBeDAgFw0yNjExMjUxNzE5MjZaGA8yMTI2MTEwMTE3MTkyNlow
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCaCoUkF/Uhl
NH8xk5GrQ+FHgtW2HSvsK1Vp0KbNghPhFzsb41BawxnoEMvQnfuzEETryxdOiIgr
cPTn0WLaF3+jUzBRMB0GA1UdDgQWBBSSVHtg2ksLwFtJqqnrDJ+ov9Wn3DAfBgNV
HSMEGDAWgBSSVHtg2ksLwFtJqqnrDJ+ov9Wn3DAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIAHEdFucVR1YpFmj3BcdXzANmnwtWPESaPMZTkZMBcj5
AiEA/P62n8SIyPVPB9qW1Kx3hluhlKTUhTQ9vC0cNKO79tY=
-----END CERTIFICATE-----
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHrMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAiVh5sHb65EYAIBATAM
BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQqjmlqS2xdABo7U51bTIA4wSBkH6H
Ne5pbNNoZNXcwqXQ58Eu2H31vjr/PP2hy02pgeLZtXeBV2rVxOiC+E1uQnDVnQBL
AHDEFAPxRVDGvD+GqplhQ6IFNn2X2xZtWxpN3zT9SdnN0Siotvs/+rqzgnCOULDL
yvdMLlMz81A99b2EVynBdC33kavma3W66dGXb9f7XiHp8t5t+fJmhD+0OgYcXg==
-----END ENCRYPTED PRIVATE KEY-----
"""


def test_a_key_with_a_password_is_opened_by_it(tmp_path: Path) -> None:
    """And never by one that somebody would have to type."""
    (tmp_path / "closed.pem").write_text(CLOSED)
    query = f"sslcert={tmp_path}/closed.pem&sslkey={tmp_path}/closed.pem"
    assert "ssl" in connect_arguments(f"postgresql://db.example.com/x?{query}&sslpassword=made-up")
    with pytest.raises(SettingsError, match="client certificate"):
        connect_arguments(f"postgresql://db.example.com/x?{query}")


def test_the_driver_does_what_other_modes_ask_for() -> None:
    for mode in ("disable", "allow", "prefer", "require", "verify-ca"):
        dsn = f"postgresql://db.example.com/x?sslmode={mode}"
        assert connect_arguments(dsn) == {"dsn": dsn}


@pytest.fixture
def plain_files(tmp_path: Path) -> Path:
    """Give a directory as `files` does, of an authority made by hand: no certificate holds key identifiers."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "server", "client")}
    for name, key in keys.items():
        is_authority = name == "ca"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if not is_authority:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        pem = made.sign(keys["ca"], hashes.SHA256()).public_bytes(Encoding.PEM)
        (tmp_path / f"{name}.pem").write_bytes(pem)
        as_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.key").write_bytes(as_pem)
    return tmp_path


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the default context of Python 3.13, whatever Python this is."""
    create = ssl.create_default_context

    def create_strict(*args: Any, **arguments: Any) -> ssl.SSLContext:
        context = create(*args, **arguments)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", create_strict)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("mode", ["", "&sslmode=verify-full", "&sslmode=verify-ca"])
async def test_an_authority_that_the_operator_names_need_not_keep_to_the_letter(
    mode: str, plain_files: Path, database_dsn: str
) -> None:
    assert await clients_shown("sslrootcert={files}/ca.pem" + mode, plain_files, database_dsn) == [""]
    context = tls_context(plain_files / "ca.pem")
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


@pytest.mark.usefixtures("strict")
async def test_the_systems_authorities_keep_to_it_and_what_is_missing_is_told(
    plain_files: Path, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In OpenSSL's words."""
    monkeypatch.setenv("SSL_CERT_FILE", str(plain_files / "ca.pem"))
    with pytest.raises(SettingsError, match="Missing Authority Key Identifier"):
        await clients_shown("", plain_files, database_dsn)
    assert tls_context(None).verify_flags & ssl.VERIFY_X509_STRICT


async def test_a_certificate_that_names_nobody_is_taken_as_verify_ca(files: Path, database_dsn: str) -> None:
    """The form of Cloud SQL's: the authority is known, the name is not ours. What the error advises works."""
    for kind in ("pem", "key"):
        (files / f"server.{kind}").write_bytes((files / f"client.{kind}").read_bytes())
    with pytest.raises(SettingsError, match="names another host") as wrong:
        await clients_shown("sslrootcert={files}/ca.pem", files, database_dsn)
    assert "sslmode=verify-ca" in wrong.value.next
    assert await clients_shown("sslmode=verify-ca&sslrootcert={files}/ca.pem", files, database_dsn) == [""]
    with pytest.raises(SettingsError, match="certificate is not trusted"):
        await clients_shown("sslmode=verify-ca&sslrootcert={files}/another_ca.pem", files, database_dsn)
