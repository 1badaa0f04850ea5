import pytest
import pytest_twisted
from attrs import define
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer
from zope.interface.verify import verifyObject

from oose.line import resolve_by


@implementer(IHostResolution)
@define
class Resolution:
    name: str

    def cancel(self) -> None:
        """Not in these tests."""


@implementer(IHostnameResolver)
@define
class Resolver:
    """Knows a few hosts."""

    hosts: dict[str, list[IPv4Address | IPv6Address]]

    def resolveHostName(  # noqa: N802
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: object = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> IHostResolution:
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for address in self.hosts.get(hostName, []):
            resolutionReceiver.addressResolved(address)
        resolutionReceiver.resolutionComplete()
        return resolution


RESOLVER = Resolver({"a.example": [IPv4Address("TCP", "1.2.3.4", 0), IPv6Address("TCP", "::1", 0)]})


def test_the_resolver_of_these_tests_is_one() -> None:
    verifyObject(IHostnameResolver, RESOLVER)


@pytest_twisted.ensureDeferred
async def test_a_host_has_all_of_its_addresses() -> None:
    assert await resolve_by(RESOLVER)("a.example") == ["1.2.3.4", "::1"]


@pytest_twisted.ensureDeferred
async def test_a_host_without_an_address_is_an_error() -> None:
    with pytest.raises(DNSLookupError, match=r"b\.example"):
        await resolve_by(RESOLVER)("b.example")
