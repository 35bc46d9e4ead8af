"""A fake Remote Execution service, which injects the faults that a test chooses."""

from __future__ import annotations

import threading
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Optional, Sequence

import grpc

from nix_remote.remote_execution import messages
from nix_remote.remote_execution.messages import Digest, digest_of
from nix_remote.remote_execution.protobuf import decode, encode

_API = "build.bazel.remote.execution.v2"

ABLE = messages.ServerCapabilities(
    messages.CacheCapabilities((messages.SHA256,)),
    messages.ExecutionCapabilities(exec_enabled=True),
)


def operation(stage: int) -> messages.Operation:
    """An operation under way."""
    metadata = encode(messages.ExecuteOperationMetadata(stage))
    return messages.Operation("operations/1", messages.Any("metadata", metadata))


def finished(response: messages.ExecuteResponse) -> messages.Operation:
    """An operation at its end."""
    return messages.Operation(
        "operations/1", done=True, response=messages.Any("response", encode(response))
    )


@dataclass
class Script:
    """What the service answers, and what it was asked."""

    capabilities: bytes = encode(ABLE)
    update_status: messages.Status = messages.Status()
    operations: Sequence[messages.Operation] = ()
    stays_open: object = False
    """Whether the answer to `Execute` does not end after these."""
    abort: Optional[tuple[grpc.StatusCode, str]] = None
    """What `Execute` ends with."""
    before: Callable[[], object] = lambda: None
    """Called by `GetCapabilities` before it answers."""
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    executed: list[messages.ExecuteRequest] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def get_capabilities(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.before()
        self.headers.update({each[0]: str(each[1]) for each in context.invocation_metadata()})
        return self.capabilities

    def update(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        decoded = decode(messages.BatchUpdateBlobsRequest, request)
        self._check_digest_function(decoded.digest_function)
        asked = decoded.requests
        for each in asked:
            assert digest_of(each.data) == each.digest
            self.blobs[each.digest] = each.data
        responses = tuple(
            messages.UpdateResponse(each.digest, self.update_status) for each in asked
        )
        return encode(messages.BatchUpdateBlobsResponse(responses))

    def read(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        decoded = decode(messages.BatchReadBlobsRequest, request)
        self._check_digest_function(decoded.digest_function)
        digests = decoded.digests
        absent = messages.Status(5, "no such blob")
        responses = (
            messages.ReadResponse(each, self.blobs[each])
            if each in self.blobs
            else messages.ReadResponse(each, status=absent)
            for each in digests
        )
        return encode(messages.BatchReadBlobsResponse(tuple(responses)))

    def execute(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self.executed.append(decode(messages.ExecuteRequest, request))
        self._check_digest_function(self.executed[-1].digest_function)
        yield from map(encode, self.operations)
        if self.abort is not None:
            context.abort(*self.abort)
        if self.stays_open:
            self.ended.wait(30)

    @staticmethod
    def _check_digest_function(named: int) -> None:
        # Since version 2.3 of the API; a service may want it.
        assert named == messages.SHA256

    def cancel(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        assert decode(messages.CancelOperationRequest, request).name == "operations/1"
        self.cancelled.set()
        return b""


@contextmanager
def running(script: Script, credentials: Optional[grpc.ServerCredentials] = None) -> Iterator[int]:
    """The service on a port of the loopback interface."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    services: dict[str, dict[str, Any]] = {
        f"{_API}.Capabilities": {"GetCapabilities": unary(script.get_capabilities)},
        f"{_API}.ContentAddressableStorage": {
            "BatchUpdateBlobs": unary(script.update),
            "BatchReadBlobs": unary(script.read),
        },
        f"{_API}.Execution": {"Execute": stream(script.execute)},
        "google.longrunning.Operations": {"CancelOperation": unary(script.cancel)},
    }
    handlers = [grpc.method_handlers_generic_handler(*each) for each in services.items()]
    server.add_generic_rpc_handlers(handlers)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        script.ended.set()
        server.stop(None).wait(10)
