"""The service against one that answers what a test says; the real one is in the lab."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from typing import Any, Callable, Iterator

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nix_remote.errors import (
    ActionNotFinished,
    ActionNotTaken,
    ExecutionRefused,
    ExecutionServiceUnreachable,
)
from nix_remote.remote_execution import messages, probe, service
from nix_remote.remote_execution.endpoint import Endpoint
from nix_remote.remote_execution.messages import digest_of
from nix_remote.remote_execution.protobuf import encode
from nix_remote.remote_execution.service import Ended, ExecutionService
from nix_remote.text import PeerText
from tests.support.execution_service import Script, finished, operation, running

PROBE = probe.build("/bin/sh", ["/nix/store/a"], (), 5)
RESULT = messages.ActionResult(
    stdout_raw=b"out",
    stderr_raw=b"err",
    execution_metadata=messages.ExecutedActionMetadata("executor-1"),
)

Connect = Callable[..., ExecutionService]


@pytest.fixture
def script() -> Script:
    return Script(operations=[finished(messages.ExecuteResponse(RESULT))])


@pytest.fixture
def connect(script: Script) -> Iterator[Connect]:
    """Connects to the service of the script."""
    opened = []
    with running(script) as port:

        def connected(**options: Any) -> ExecutionService:
            options = {"timeout": 5.0, **options}
            opened.append(ExecutionService(Endpoint(f"grpc://127.0.0.1:{port}", **options)))
            return opened[-1]

        yield connected
        for each in opened:
            each.close()


def test_an_action_is_uploaded_and_run(script: Script, connect: Connect) -> None:
    connected = connect(instance_name="main", headers=(("x-key", "secret"),))
    connected.check()
    assert connected.run(PROBE) == Ended(
        PeerText("executor-1"), 0, PeerText("out"), PeerText("err")
    )
    assert set(script.blobs) == set(map(digest_of, PROBE.blobs))
    assert script.executed == [
        messages.ExecuteRequest("main", True, digest_of(PROBE.action), messages.SHA256)
    ]
    assert script.headers["x-key"] == "secret"
    assert not script.cancelled.is_set()


def test_output_that_is_kept_as_a_blob(script: Script, connect: Connect) -> None:
    script.blobs[digest_of(b"long")] = b"long"
    result = messages.ActionResult(stdout_digest=digest_of(b"long"))
    script.operations = [finished(messages.ExecuteResponse(result))]
    assert connect().run(PROBE).stdout.plain == "long"


def test_output_that_is_lost(script: Script, connect: Connect) -> None:
    result = messages.ActionResult(stdout_digest=digest_of(b"lost"))
    script.operations = [finished(messages.ExecuteResponse(result))]
    with pytest.raises(ExecutionRefused, match="does not run") as caught:
        connect().run(PROBE)
    assert caught.value.why == "NOT_FOUND: no such blob"


def test_an_action_that_could_not_be_started(script: Script, connect: Connect) -> None:
    status = messages.Status(3, "no such program")
    script.operations = [finished(messages.ExecuteResponse(status=status))]
    assert connect().run(PROBE).failure.plain == "INVALID_ARGUMENT: no such program"


def test_a_result_of_an_earlier_time_does_not_count(script: Script, connect: Connect) -> None:
    script.operations = [finished(messages.ExecuteResponse(RESULT, cached_result=True))]
    with pytest.raises(ExecutionRefused) as caught:
        connect().run(PROBE)
    assert "cached" in caught.value.why


@pytest.mark.parametrize(
    ("stage", "error"),
    [(messages.QUEUED, ActionNotTaken), (messages.EXECUTING, ActionNotFinished)],
)
def test_an_action_that_stays_where_it_is_is_given_up(
    script: Script, connect: Connect, stage: int, error: type[Exception]
) -> None:
    script.operations, script.stays_open = [operation(stage)], True
    with pytest.raises(error):
        connect(timeout=0.3, properties=(("pool", "x"),)).run(PROBE)
    assert script.cancelled.wait(5)


def test_the_properties_that_nobody_has_are_told(script: Script, connect: Connect) -> None:
    script.operations, script.stays_open = [], True
    with pytest.raises(ActionNotTaken) as caught:
        connect(timeout=0.3, properties=(("a", "1"), ("pool", "x"))).run(PROBE)
    assert caught.value.why.endswith("a=1 pool=x")


def test_an_action_that_an_executor_gave_up(script: Script, connect: Connect) -> None:
    status = messages.Status(grpc.StatusCode.DEADLINE_EXCEEDED.value[0], "too long")
    script.operations = [finished(messages.ExecuteResponse(status=status))]
    with pytest.raises(ActionNotFinished):
        connect().run(PROBE)


def test_a_conversation_that_ends_too_early(script: Script, connect: Connect) -> None:
    script.operations = [operation(messages.QUEUED)]
    with pytest.raises(ExecutionRefused) as caught:
        connect().run(PROBE)
    assert "before the action ended" in caught.value.why


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (messages.Operation("o", done=True, error=messages.Status(7, "no")), "PERMISSION_DENIED"),
        (messages.Operation("o", done=True, response=messages.Any("x", b"\xff")), "is invalid"),
    ],
)
def test_operations_that_fail(
    script: Script, connect: Connect, operation: messages.Operation, why: str
) -> None:
    script.operations = [operation]
    with pytest.raises(ExecutionRefused) as caught:
        connect().run(PROBE)
    assert why in caught.value.why


@pytest.mark.parametrize(
    "status",
    # Buildbarn says the second where nobody has the properties.
    [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAVAILABLE],
)
def test_a_refusal(script: Script, connect: Connect, status: grpc.StatusCode) -> None:
    script.operations, script.abort = [], (status, "no worker")
    with pytest.raises(ExecutionRefused) as caught:
        connect().run(PROBE)
    assert caught.value.why == f"{status.name}: no worker"


def test_blobs_that_are_refused(script: Script, connect: Connect) -> None:
    script.update_status = messages.Status(8, "full")
    with pytest.raises(ExecutionRefused) as caught:
        connect().run(PROBE)
    assert caught.value.why == "RESOURCE_EXHAUSTED: full"
    assert script.executed == []


@pytest.mark.parametrize(
    ("capabilities", "why"),
    [
        (encode(messages.ServerCapabilities()), "does not run actions"),
        (
            encode(
                messages.ServerCapabilities(
                    messages.CacheCapabilities((9,)),
                    messages.ExecutionCapabilities(exec_enabled=True),
                )
            ),
            "SHA-256",
        ),
        (b"\xff", "is invalid"),
    ],
)
def test_services_that_cannot_do_it(
    script: Script, connect: Connect, capabilities: bytes, why: str
) -> None:
    script.capabilities = capabilities
    with pytest.raises(ExecutionRefused) as caught:
        connect().check()
    assert why in caught.value.why


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        connected = ExecutionService(Endpoint(f"grpc://127.0.0.1:{bound.getsockname()[1]}"))
        with pytest.raises(ExecutionServiceUnreachable) as caught:
            connected.check()
        connected.close()
    assert "refused" in caught.value.why


def test_a_service_that_does_not_answer(
    script: Script, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_TIMEOUT", 0.3)
    script.before = lambda: script.ended.wait(30)
    with pytest.raises(ExecutionServiceUnreachable) as caught:
        connect().check()
    assert caught.value.why == "no answer within 0.3 s"


def test_something_that_is_no_such_service() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected = ExecutionService(Endpoint(f"grpc://127.0.0.1:{listener.getsockname()[1]}"))
        listener.settimeout(5)
        call = _in_background(connected.check)
        peer, _ = listener.accept()
        peer.sendall(b"SSH-2.0-OpenSSH_10.0\r\n")
        peer.close()
        listener.close()
        with pytest.raises(ExecutionServiceUnreachable):
            call()
        connected.close()


def _in_background(work: Callable[[], object]) -> Callable[[], object]:
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return lambda: future.result(15)


def test_tls_with_an_authority_of_its_own(script: Script) -> None:
    key, certificate = _certificate()
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    with running(script, credentials) as port:
        url = f"grpcs://127.0.0.1:{port}"
        trusting = ExecutionService(Endpoint(url, authority=certificate))
        trusting.check()
        trusting.close()
        other = ExecutionService(Endpoint(url, authority=_certificate()[1]))
        with pytest.raises(ExecutionServiceUnreachable):
            other.check()
        other.close()


def _certificate() -> tuple[bytes, bytes]:
    """Key and certificate for 127.0.0.1, which certifies itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "service")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(pem, *plain), certificate.public_bytes(pem)
