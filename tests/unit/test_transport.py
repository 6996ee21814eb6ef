import ipaddress
from pathlib import Path

import pytest

from exporter.providers.transport import ProviderTls, Route, Sessions, Trace, permitted

ADDRESSES = [
    ("a public one", "93.184.216.34", (), True),
    ("a public one of version 6", "2606:2800:220:1::1", (), True),
    ("loopback", "127.0.0.1", (), False),
    ("a cloud's metadata service", "169.254.169.254", (), False),
    ("a private network", "10.1.2.3", (), False),
    ("carrier-grade NAT", "100.64.0.1", (), False),
    ("a private one, written as version 6", "::ffff:10.1.2.3", (), False),
    ("a public one, written as version 6", "::ffff:93.184.216.34", (), True),
    ("a private one that is allowed, written as version 6", "::ffff:10.1.2.3", ("10.0.0.0/8",), True),
    ("link-local with its zone", "fe80::1%eth0", (), False),
    ("a private one that is allowed", "10.1.2.3", ("10.0.0.0/8",), True),
    ("another private one than is allowed", "192.168.1.1", ("10.0.0.0/8",), False),
    ("a private one of version 6 that is allowed", "fd00::1", ("10.0.0.0/8", "fd00::/8"), True),
]


@pytest.mark.parametrize(
    ("address", "allowed", "expected"), [row[1:] for row in ADDRESSES], ids=[row[0] for row in ADDRESSES]
)
def test_a_name_may_lead_to_the_public_internet_and_to_what_is_allowed(
    address: str, allowed: tuple[str, ...], expected: bool
) -> None:
    assert permitted(address, [ipaddress.ip_network(one) for one in allowed]) is expected


PHASES = [
    ("everything", Trace(1, 1.5, 2, 4, 7, 11, 16), {"resolve": 0.5, "connect": 2.5, "tls": 3, "first_byte": 4, "body": 5}),
    ("no name, no TLS", Trace(1, 0, 0, 0, 3, 4, 5), {"resolve": 0, "connect": 2, "tls": 0, "first_byte": 1, "body": 1}),
    ("a name that never resolved", Trace(started=1, resolving=2, ended=9), {"resolve": 7, "connect": 1, "tls": 0, "first_byte": 0, "body": 0}),
    ("a handshake that never ended", Trace(started=1, handshake=3, ended=9), {"resolve": 0, "connect": 2, "tls": 6, "first_byte": 0, "body": 0}),
    ("no first byte", Trace(started=1, connected=2, ended=9), {"resolve": 0, "connect": 1, "tls": 0, "first_byte": 7, "body": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("trace", "expected"), [row[1:] for row in PHASES], ids=[row[0] for row in PHASES])
def test_the_phases_of_a_request_add_up(trace: Trace, expected: dict[str, float]) -> None:
    phases = trace.phases()
    assert phases == expected
    assert sum(phases.values()) == trace.ended - trace.started


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    with pytest.raises(ValueError, match="cert_file and key_file belong together"):
        ProviderTls.model_validate({"key_file": "x.pem"}, context={"base": tmp_path})
    with pytest.raises(ValueError, match="these files can't be used for TLS"):
        ProviderTls.model_validate({"ca_file": "x.pem"}, context={"base": tmp_path})


async def test_connections_that_have_a_way_in_common_share_a_session() -> None:
    sessions = Sessions()
    assert sessions.of(Route()) is sessions.of(Route())
    assert sessions.of(Route()) is not sessions.of(Route(networks=None))
    await sessions.close()
