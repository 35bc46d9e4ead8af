import pytest

from nix_remote.protocol.versions import ProtocolVersion, WorkerServer, protocol_version


def test_a_version_is_one_number_on_the_wire() -> None:
    assert protocol_version(0x125) == (1, 37)
    assert protocol_version(0x125).number == 0x125
    assert str(protocol_version(0x207)) == "2.7"


@pytest.mark.parametrize(
    ("protocol", "nix", "roots", "heeds"),
    [
        ((1, 34), "2.8.0", False, False),
        ((1, 35), "2.18.9", False, False),
        ((1, 35), "2.95.0", False, False),  # Lix: higher number, older protocol, no repair
        ((1, 37), "2.20.1", True, False),
        ((1, 38), "2.34.8", True, False),
        ((1, 38), "2.35.0", True, True),
        ((1, 38), "3.0pre2026", True, True),
        ((1, 38), "unknown", True, False),
        ((1, 38), None, True, False),
    ],
)
def test_what_servers_can_do(protocol: tuple[int, int], nix: str, roots: bool, heeds: bool) -> None:
    server = WorkerServer(ProtocolVersion(*protocol), nix, None)
    assert server.can_make_roots is roots
    assert server.collector_heeds_temporary_roots is heeds
