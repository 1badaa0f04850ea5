"""Certificates: the server's own, one made where none is given, and which others to trust.

Everything here reads or writes files and blocks: it is for the start, before anything is served.
"""

import os
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import idna
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.client import BrowserLikePolicyForHTTPS, HostnameCachingHTTPSPolicy
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from oose.durable import sync_folder

LIFE = timedelta(days=825)  # the longest that every client accepts
RENEW_BEFORE = timedelta(days=30)
CLOCKS_DIFFER = timedelta(hours=1)
ALWAYS = ("localhost", "127.0.0.1", "::1")
SELF_SIGNED = "self-signed.pem"  # below the configuration's `root`


class UnusableCertificate(ValueError):
    """A file of keys or certificates is not what is needed; the message says which and why."""


def load(pem: Path) -> CertificateOptions:
    """What to listen with: TLS 1.2 and up, with the key and the certificate chain in one PEM file.

    Raises `UnusableCertificate` naming the file and what is wrong with it.
    """
    text = _read(pem)
    key = _private_key(pem, text)
    certificates = _certificates(pem, text)
    own = [item for item in certificates if _same_key(key, item)]
    if not own:
        raise UnusableCertificate(
            f"{pem}: the private key does not belong to any certificate in the file"
        )
    chain = [item for item in certificates if item is not own[0]]
    options = CertificateOptions(  # Twisted's types are older than what pyOpenSSL takes
        privateKey=key,  # type: ignore[arg-type]
        certificate=own[0],  # type: ignore[arg-type]
        extraCertChain=chain,  # type: ignore[arg-type]
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )
    # Twisted turns compression off. Its context is made once and kept.
    options.getContext().set_options(SSL.OP_NO_RENEGOTIATION)
    return options


def self_signed(path: Path, names: Sequence[str], now: datetime) -> Path:
    """A PEM file with a key and a certificate for this machine: the one at `path`, or a new one.

    The certificate is for `names` (host names and IP addresses), `localhost` and the loopback
    addresses. It is made again where it does not hold all of these, is broken, or ends within 30
    days of `now` (which has a time zone). Returns `path`. The file has mode 0600 from the first
    byte, and a crash leaves the old one or the new one. Beside it lies `certificate_alone`. Raises
    `OSError`, and `UnusableCertificate` for what is no name.
    """
    if not is_good(path, names, now):
        _write(path, _make(_with_always(names), now), 0o600)
    (certificate, *_) = _certificates(path, _read(path))
    alone, text = certificate_alone(path), certificate.public_bytes(serialization.Encoding.PEM)
    if not alone.exists() or alone.read_bytes() != text:
        _write(alone, text, 0o644)
    return path


def is_good(path: Path, names: Sequence[str], now: datetime) -> bool:
    """Whether `self_signed` would leave the file at `path` as it is; `UnusableCertificate`."""
    return _still_good(path, _with_always(names), now)


def certificate_alone(path: Path) -> Path:
    """The file with the certificate of `self_signed` and not its key, to be handed to clients."""
    return path.with_suffix(".crt")


def client_policy(verify: bool | Path, *, own: Path | None) -> IPolicyForHTTPS:
    """How to judge the certificates of peers.

    With `verify` True by the system's authorities, with a path by those in that PEM file, with
    False not at all. `own` is a PEM file whose certificates are trusted as well: the self-signed
    one of this machine, so that peers on it trust each other. Raises `UnusableCertificate`.
    """
    if verify is False:
        return _Unverified()
    trusted = [] if own is None else _certificates(own, _read(own))
    policy: IPolicyForHTTPS
    if verify is True:
        policy = _SystemAnd(trusted)
    else:
        roots = [*_certificates(verify, _read(verify)), *trusted]
        policy = BrowserLikePolicyForHTTPS(trustRootFromCertificates(map(_twisted, roots)))
    # Cached, because making one reads all of the system's certificates.
    return HostnameCachingHTTPSPolicy(policy)


@implementer(IPolicyForHTTPS)
class _SystemAnd:
    """Trusts the system's authorities and a few certificates more."""

    def __init__(self, more: Iterable[x509.Certificate]) -> None:
        self._system = BrowserLikePolicyForHTTPS()
        self._more = [X509.from_cryptography(item) for item in more]

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """See `IPolicyForHTTPS`."""
        return _TrustingCreator(self._system.creatorForNetloc(hostname, port), self._more)


@implementer(IOpenSSLClientConnectionCreator)
class _TrustingCreator:
    def __init__(self, creator: IOpenSSLClientConnectionCreator, more: Sequence[X509]) -> None:
        self._creator = creator
        self._more = more

    def clientConnectionForTLS(  # noqa: N802
        self,
        tlsProtocol: TLSMemoryBIOProtocol,  # noqa: N803
    ) -> SSL.Connection:
        """See `IOpenSSLClientConnectionCreator`."""
        connection = self._creator.clientConnectionForTLS(tlsProtocol)
        store = connection.get_context().get_cert_store()
        assert store is not None
        for certificate in self._more:
            store.add_cert(certificate)
        return connection


@implementer(IPolicyForHTTPS)
class _Unverified:
    """Takes any certificate: encryption against listeners, none against impostors."""

    def __init__(self) -> None:
        self._context = CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2).getContext()

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """See `IPolicyForHTTPS`."""
        return _UnverifiedCreator(self._context, hostname)


@implementer(IOpenSSLClientConnectionCreator)
class _UnverifiedCreator:
    def __init__(self, context: SSL.Context, host: bytes) -> None:
        self._context = context
        self._host = host

    def clientConnectionForTLS(  # noqa: N802
        self,
        tlsProtocol: TLSMemoryBIOProtocol,  # noqa: N803
    ) -> SSL.Connection:
        """See `IOpenSSLClientConnectionCreator`."""
        connection = SSL.Connection(self._context, None)
        if isinstance(_general_name(self._host.decode("ascii")), x509.DNSName):
            connection.set_tlsext_host_name(self._host)  # RFC 6066 section 3: not for addresses
        return connection


def _twisted(certificate: x509.Certificate) -> Certificate:
    return Certificate(X509.from_cryptography(certificate))


def _read(pem: Path) -> bytes:
    try:
        return pem.read_bytes()
    except OSError as error:
        raise UnusableCertificate(f"{pem}: cannot be read: {error.strerror}") from error


def _private_key(pem: Path, text: bytes) -> PrivateKeyTypes:
    if b"PRIVATE KEY-----" not in text:
        raise UnusableCertificate(f"{pem}: has no private key")
    try:
        return serialization.load_pem_private_key(text, password=None)
    except TypeError as error:
        raise UnusableCertificate(
            f"{pem}: the private key is encrypted: oose starts without anybody to ask for its "
            "password, so write it without one, in a file that only oose can read"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableCertificate(f"{pem}: the private key cannot be understood") from error


def _certificates(pem: Path, text: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" not in text:
        raise UnusableCertificate(f"{pem}: has no certificate")
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError as error:
        raise UnusableCertificate(f"{pem}: a certificate in it cannot be understood") from error


def _same_key(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    return key.public_key() == certificate.public_key()


def _with_always(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_general_name(name) for name in dict.fromkeys((*ALWAYS, *names))]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    if name.isascii():
        return x509.DNSName(name.lower())
    try:
        return x509.DNSName(idna.encode(name, uts46=True).decode("ascii"))
    except UnicodeError as error:
        raise UnusableCertificate(f"{name!r} is not a host name") from error


def _still_good(path: Path, wanted: Iterable[x509.GeneralName], now: datetime) -> bool:
    try:
        text = path.read_bytes()
        key = _private_key(path, text)
        certificate = _certificates(path, text)[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    begun = certificate.not_valid_before_utc <= now
    lasting = certificate.not_valid_after_utc - now > RENEW_BEFORE
    return begun and lasting and _same_key(key, certificate) and set(wanted) <= set(names)


def _make(names: Iterable[x509.GeneralName], now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "oose, self-signed")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now - CLOCKS_DIFFER + LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNS_ONLY, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


_SIGNS_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _write(path: Path, text: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # whatever the umask
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
    sync_folder(path.parent)
