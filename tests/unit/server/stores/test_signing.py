from nix_remote.local.signing import parse_signing_key
from nix_remote.server.stores.signing import SigningStore
from tests.support.fake_server import FakeServer
from tests.support.paths import info, path
from tests.unit.local.test_signing import SECRET
from tests.unit.server.stores.test_worker import ROOT, locked, outgoing, store

KEY = parse_signing_key(SECRET)
HELLO = path("hello")


def test_what_is_sent_is_signed_so_that_trust_is_not_needed() -> None:
    server = FakeServer(trust=2)
    signing = SigningStore(store(server), KEY)
    signing.check_acceptable([info("hello")])
    signing.push(outgoing(info("hello")))
    assert server.signatures == {HELLO: KEY.sign(info("hello")).signatures}


def test_all_else_is_the_stores_own() -> None:
    server = FakeServer(trust=2, substitutable={HELLO}, infos={HELLO: info("hello")})
    signing = SigningStore(store(server), KEY)
    assert not signing.ended
    assert signing.ask(locked(HELLO)) == set()
    signing.lock([HELLO])
    assert signing.ask(locked(HELLO)) == set()
    assert HELLO in server.temporary_roots
    signing.substitute([HELLO], at_most=5)
    assert signing.registered([HELLO])[HELLO].nar_hash == info("hello").nar_hash
    assert signing.secure([HELLO], [ROOT]).valid == {HELLO}
