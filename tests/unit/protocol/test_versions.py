import pytest

from nix_remote.protocol.versions import ProtocolVersion, WorkerServer, protocol_version
from nix_remote.text import PeerText


def test_a_version_is_one_number_on_the_wire() -> None:
    assert protocol_version(0x125) == (1, 37)
    assert protocol_version(0x125).number == 0x125
    assert str(protocol_version(0x207)) == "2.7"


@pytest.mark.parametrize(
    ("protocol", "nix", "roots"),
    [
        ((1, 34), "2.8.0", False),
        ((1, 35), "2.18.9", False),
        ((1, 35), "2.95.0", False),  # Lix: higher number, older protocol
        ((1, 37), "2.20.1", True),
        ((1, 38), "2.34.8", True),
        ((1, 38), None, True),
    ],
)
def test_what_servers_can_do(protocol: tuple[int, int], nix: str, roots: bool) -> None:
    server = WorkerServer(ProtocolVersion(*protocol), PeerText(nix) if nix else None, None)
    assert server.can_make_roots is roots
