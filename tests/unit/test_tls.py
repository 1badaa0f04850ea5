import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface.verify import verifyObject

from oose.tls import UnusableCertificate, certificate_alone, client_policy, load, self_signed
from tests.real import reactor

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
Key = CertificateIssuerPrivateKeyTypes


def certificate_in(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def names_in(path: Path) -> set[str]:
    extension = certificate_in(path).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(name.value) for name in extension.value}


def key_text(key: Key, password: bytes | None = None) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


def issued(
    subject: str,
    key: Key,
    issuer: str,
    by: Key,
    *,
    ca: bool,
    begin: datetime = NOW - DAY,
    end: datetime = NOW + 365 * DAY,
    names: tuple[str, ...] = ("localhost",),
) -> bytes:
    def called(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = (
        x509.CertificateBuilder()
        .subject_name(called(subject))
        .issuer_name(called(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


ROOT_KEY, LEAF_KEY, OTHER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
ROOT = issued("root", ROOT_KEY, "root", ROOT_KEY, ca=True)
LEAF = issued("leaf", LEAF_KEY, "root", ROOT_KEY, ca=False)


def write(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


# What to listen with.


def refusal(path: Path) -> str:
    with pytest.raises(UnusableCertificate) as caught:
        load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nothing.pem")


def test_a_folder_is_no_certificate(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "has no private key"),
        ([b"\xff\x00"], "has no private key"),
        ([LEAF], "has no private key"),
        ([key_text(LEAF_KEY)], "has no certificate"),
        ([key_text(OTHER_KEY), LEAF], "does not belong to any certificate"),
        ([key_text(LEAF_KEY, b"secret"), LEAF], "is encrypted"),
        ([key_text(LEAF_KEY)[:80], b"\n-----END PRIVATE KEY-----\n", LEAF], "key cannot be"),
        ([key_text(LEAF_KEY), LEAF[:80], b"\n-----END CERTIFICATE-----\n"], "certificate in it"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(parts: list[bytes], words: str, tmp_path: Path) -> None:
    assert words in refusal(write(tmp_path / "x.pem", *parts))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_key_certificate_and_chain_may_come_in_any_order(
    order: tuple[int, ...], tmp_path: Path
) -> None:
    parts = [key_text(LEAF_KEY), LEAF, ROOT]
    options = load(write(tmp_path / "x.pem", *(parts[index] for index in order)))
    assert isinstance(options.getContext(), SSL.Context)


def test_rsa_keys_will_do(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    leaf = issued("leaf", key, "root", ROOT_KEY, ca=False)
    load(write(tmp_path / "x.pem", key_text(key), leaf))


# The self-signed one.


def test_the_certificate_made_holds_for_this_machine_and_the_names_given(tmp_path: Path) -> None:
    names = ["Store1.Example", "10.0.0.1", "fd00::1", "exämple.com", "localhost", "my_host"]
    path = self_signed(tmp_path / "own.pem", names, NOW)
    assert names_in(path) == {
        "localhost",
        "127.0.0.1",
        "::1",
        "store1.example",
        "10.0.0.1",
        "fd00::1",
        "xn--exmple-cua.com",
        "my_host",
    }


def test_the_certificate_made_is_an_ecdsa_one_for_825_days(tmp_path: Path) -> None:
    certificate = certificate_in(self_signed(tmp_path / "own.pem", [], NOW))
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert certificate.not_valid_before_utc < NOW
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == 825 * DAY


def test_the_file_is_for_its_owner_only_the_certificate_beside_it_for_all(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        path = self_signed(tmp_path / "own.pem", [], NOW)
    finally:
        os.umask(old)
    assert path == tmp_path / "own.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    alone = certificate_alone(path)
    assert sorted(tmp_path.iterdir()) == [alone, path]
    assert alone.stat().st_mode & 0o777 == 0o644
    assert b"PRIVATE" not in alone.read_bytes()
    assert certificate_in(alone) == certificate_in(path)
    load(path)


def test_the_certificate_beside_it_is_always_its_own(tmp_path: Path) -> None:
    path = self_signed(tmp_path / "own.pem", [], NOW)
    alone = certificate_alone(path)
    written = alone.stat().st_ino
    self_signed(path, [], NOW)
    assert alone.stat().st_ino == written
    alone.write_text("nonsense")
    self_signed(path, [], NOW)
    assert certificate_in(alone) == certificate_in(path)
    self_signed(path, ["new.example"], NOW)
    assert certificate_in(alone) == certificate_in(path)


def test_a_good_one_is_kept(tmp_path: Path) -> None:
    path = self_signed(tmp_path / "own.pem", ["a.example", "b.example"], NOW)
    before = path.read_bytes()
    self_signed(path, ["B.example"], NOW + 700 * DAY)
    assert path.read_bytes() == before


@pytest.mark.parametrize("later", [800 * DAY, 900 * DAY, -DAY])
def test_one_that_is_not_valid_for_long_is_made_again(later: timedelta, tmp_path: Path) -> None:
    path = self_signed(tmp_path / "own.pem", [], NOW)
    before = path.read_bytes()
    self_signed(path, [], NOW + later)
    assert path.read_bytes() != before
    assert certificate_in(path).not_valid_after_utc > NOW + later + 800 * DAY


def test_one_that_lacks_a_name_is_made_again(tmp_path: Path) -> None:
    path = self_signed(tmp_path / "own.pem", [], NOW)
    self_signed(path, ["new.example"], NOW)
    assert "new.example" in names_in(path)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [LEAF],
        [key_text(OTHER_KEY), LEAF],
        [key_text(LEAF_KEY), issued("x", LEAF_KEY, "x", LEAF_KEY, ca=False, names=())],
    ],
)
def test_one_that_is_broken_is_made_again(parts: list[bytes], tmp_path: Path) -> None:
    path = self_signed(write(tmp_path / "own.pem", *parts), [], NOW)
    load(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_no_host_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableCertificate, match="is not a host name"):
        self_signed(tmp_path / "own.pem", ["☃..x"], NOW)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        self_signed(tmp_path / "none" / "own.pem", [], NOW)


def test_nothing_lies_about_when_the_file_cannot_take_its_place(tmp_path: Path) -> None:
    (tmp_path / "own.pem").mkdir()
    with pytest.raises(IsADirectoryError):
        self_signed(tmp_path / "own.pem", [], NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["own.pem"]


# Whom to trust: real handshakes on loopback.


class Greeter(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"hello")
        self.transport.loseConnection()


class Listener(Protocol):
    def __init__(self) -> None:
        self.heard = b""
        self.over: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if isinstance(reason.value, ConnectionDone):
            self.over.callback(self.heard)
        else:
            self.over.errback(reason)


async def handshake(
    server: CertificateOptions,
    policy: IPolicyForHTTPS | IOpenSSLClientConnectionCreator,
    host: str = "localhost",
) -> bytes:
    port = reactor.listenSSL(0, Factory.forProtocol(Greeter), server, interface="127.0.0.1")
    number = port.getHost().port
    try:
        if IPolicyForHTTPS.providedBy(policy):
            creator = policy.creatorForNetloc(host.encode(), number)
        else:
            creator = policy
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", number)
        listener = Listener()
        await connectProtocol(wrapClientTLS(creator, endpoint), listener)
        return await listener.over
    finally:
        await port.stopListening()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return self_signed(tmp_path / "own.pem", ["a.example"], NOW)


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return write(tmp_path / "ca.pem", ROOT)


@pytest.fixture
def issued_pem(tmp_path: Path) -> Path:
    return write(tmp_path / "leaf.pem", key_text(LEAF_KEY), LEAF)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "a.example"])
@pytest_twisted.ensureDeferred
async def test_our_own_certificate_is_trusted_beside_the_systems(own: Path, host: str) -> None:
    policy = client_policy(True, own=own)
    verifyObject(IPolicyForHTTPS, policy)
    for _ in range(2):
        assert await handshake(load(own), policy, host) == b"hello"


@pytest_twisted.ensureDeferred
async def test_our_own_certificate_is_trusted_beside_a_bundle(
    own: Path, ca: Path, issued_pem: Path
) -> None:
    policy = client_policy(ca, own=own)
    assert await handshake(load(own), policy) == b"hello"
    assert await handshake(load(issued_pem), policy) == b"hello"


@pytest_twisted.ensureDeferred
async def test_a_bundle_alone_will_do(ca: Path, issued_pem: Path) -> None:
    assert await handshake(load(issued_pem), client_policy(ca, own=None)) == b"hello"


@pytest_twisted.ensureDeferred
async def test_strangers_are_not_trusted(own: Path, ca: Path, issued_pem: Path) -> None:
    for server, policy in [
        (own, client_policy(True, own=None)),
        (own, client_policy(ca, own=None)),
        (issued_pem, client_policy(True, own=own)),
    ]:
        with pytest.raises(SSL.Error):
            await handshake(load(server), policy)


@pytest_twisted.ensureDeferred
async def test_our_own_certificate_does_not_hold_for_other_names(own: Path) -> None:
    with pytest.raises(VerificationError):
        await handshake(load(own), client_policy(True, own=own), "b.example")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "b.example"])
@pytest_twisted.ensureDeferred
async def test_without_verification_anybody_is_trusted(own: Path, host: str) -> None:
    policy = client_policy(False, own=None)
    verifyObject(IPolicyForHTTPS, policy)
    assert await handshake(load(own), policy, host) == b"hello"


@pytest_twisted.ensureDeferred
async def test_tls_older_than_1_2_is_not_spoken(own: Path) -> None:
    old = CertificateOptions(
        insecurelyLowerMinimumTo=TLSVersion.TLSv1_0, lowerMaximumSecurityTo=TLSVersion.TLSv1_1
    )
    with pytest.raises(SSL.Error):
        await handshake(load(own), old)


@pytest.mark.parametrize("text", [b"", b"-----BEGIN CERTIFICATE-----\nx"])
def test_a_bundle_that_cannot_be_used_is_named(text: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "ca.pem", text)
    with pytest.raises(UnusableCertificate, match=r"ca\.pem"):
        client_policy(path, own=None)
    with pytest.raises(UnusableCertificate, match=r"none\.pem"):
        client_policy(True, own=tmp_path / "none.pem")
