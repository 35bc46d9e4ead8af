"""The client of a Remote Execution service: runs an action and returns its result.

This is the only module that imports grpcio, and it raises none of grpcio's exceptions. grpcio is
optional (`pip install nix-remote[remote-execution]`), so callers import this module only if the
user names a service.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final, Optional, TypeVar

import grpc

from nix_remote.errors import (
    ActionNotFinished,
    ActionNotTaken,
    ExecutionRefused,
    ExecutionServiceUnreachable,
    RemoteExecutionError,
)
from nix_remote.remote_execution import capabilities, messages
from nix_remote.remote_execution.capabilities import Capabilities
from nix_remote.remote_execution.endpoint import Endpoint
from nix_remote.remote_execution.messages import Digest, digest_of
from nix_remote.remote_execution.probe import Probe
from nix_remote.remote_execution.protobuf import ProtobufError, decode, encode
from nix_remote.text import PeerText

_API: Final = "/build.bazel.remote.execution.v2."
_TIMEOUT: Final = 10.0
"""Seconds for the connection, and for a reply that needs no executor."""

_OPTIONS: Final = (
    # As Bazel does. A proxy would report every failure of the service as "unavailable".
    ("grpc.enable_http_proxy", 0),
    # Otherwise, after a failure, gRPC does not connect to the service again for a while.
    ("grpc.use_local_subchannel_pool", 1),
    # Bytes: bounds the memory for a reply.
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
)

T = TypeVar("T")


@dataclass(frozen=True)
class Ended:
    """The result of an action."""

    worker: PeerText
    """The worker that ran it; empty if the service does not report it."""
    exit_status: int
    stdout: PeerText
    stderr: PeerText
    failure: PeerText = PeerText("")
    """The reason why it did not run; empty if it ran."""


class ExecutionService:
    """A connection to a service."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        if endpoint.is_encrypted:
            credentials = grpc.ssl_channel_credentials(endpoint.authority)
            self._channel = grpc.secure_channel(endpoint.target, credentials, _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(endpoint.target, _OPTIONS)

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def check(self) -> Capabilities:
        """The capabilities. Raises `RemoteExecutionError` unless the service runs actions."""
        request = messages.GetCapabilitiesRequest(self._endpoint.instance_name)
        method = f"{_API}Capabilities/GetCapabilities"
        reported = self._ask(method, request, messages.ServerCapabilities)
        unsupported_reason = capabilities.unsupported_reason(reported)
        if unsupported_reason:
            raise ExecutionRefused(self._endpoint.url, unsupported_reason)
        return capabilities.of(reported)

    def run(self, probe: Probe) -> Ended:
        """Runs the action on an executor; a cached result is an error.

        Raises `RemoteExecutionError`.
        """
        self._upload(probe)
        response = self._execute(digest_of(probe.action))
        if response.cached_result:
            raise ExecutionRefused(self._endpoint.url, "it returns a cached result")
        if response.status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]:
            raise ActionNotFinished(self._endpoint.url, self._endpoint.timeout)
        if response.status.code:
            nothing = PeerText("")
            failure = PeerText(_described(response.status))
            return Ended(nothing, -1, nothing, nothing, failure)
        result = response.result
        return Ended(
            PeerText(result.execution_metadata.worker),
            result.exit_code,
            self._text(result.stdout_raw, result.stdout_digest),
            self._text(result.stderr_raw, result.stderr_digest),
        )

    def _upload(self, probe: Probe) -> None:
        updates = (messages.UpdateRequest(digest_of(blob), blob) for blob in probe.blobs)
        request = messages.BatchUpdateBlobsRequest(
            self._endpoint.instance_name, tuple(updates), messages.SHA256
        )
        method = f"{_API}ContentAddressableStorage/BatchUpdateBlobs"
        for each in self._ask(method, request, messages.BatchUpdateBlobsResponse).responses:
            if each.status.code:
                raise ExecutionRefused(self._endpoint.url, _described(each.status))

    def _text(self, raw: bytes, digest: Digest) -> PeerText:
        """The output of an action, which is in the result or in a blob."""
        if not raw and digest.size_bytes:
            request = messages.BatchReadBlobsRequest(
                self._endpoint.instance_name, (digest,), messages.SHA256
            )
            method = f"{_API}ContentAddressableStorage/BatchReadBlobs"
            for each in self._ask(method, request, messages.BatchReadBlobsResponse).responses:
                if each.status.code:
                    raise ExecutionRefused(self._endpoint.url, _described(each.status))
                raw = each.data
        return PeerText(raw)

    def _execute(self, action: Digest) -> messages.ExecuteResponse:
        endpoint = self._endpoint
        request = messages.ExecuteRequest(
            endpoint.instance_name,
            skip_cache_lookup=True,
            action_digest=action,
            digest_function=messages.SHA256,
        )
        latest = messages.Operation()
        execute: grpc.UnaryStreamMultiCallable[bytes, bytes]
        execute = self._channel.unary_stream(f"{_API}Execution/Execute")
        call = execute(encode(request), timeout=endpoint.timeout, metadata=endpoint.headers)
        try:
            for answer in call:
                latest = self._decoded(messages.Operation, answer)
                if latest.done:
                    return self._response(latest)
        except grpc.RpcError as error:
            if _status_of(error) is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self._overdue(latest) from None
            # The service has answered before, so the executors are unavailable.
            raise ExecutionRefused(endpoint.url, _message_of(error)) from None
        finally:
            call.cancel()
            if not latest.done:
                self._give_up(latest)
        raise ExecutionRefused(endpoint.url, "it closed the stream before the action ended")

    def _response(self, operation: messages.Operation) -> messages.ExecuteResponse:
        if operation.error.code:
            raise ExecutionRefused(self._endpoint.url, _described(operation.error))
        return self._decoded(messages.ExecuteResponse, operation.response.value)

    def _overdue(self, operation: messages.Operation) -> RemoteExecutionError:
        metadata = self._decoded(messages.ExecuteOperationMetadata, operation.metadata.value)
        endpoint = self._endpoint
        if metadata.stage == messages.EXECUTING:
            return ActionNotFinished(endpoint.url, endpoint.timeout)
        wanted = " ".join(f"{name}={value}" for name, value in endpoint.properties)
        return ActionNotTaken(endpoint.url, wanted, endpoint.timeout)

    def _give_up(self, operation: messages.Operation) -> None:
        """Cancels the action, if the service supports that."""
        if operation.name:
            request = messages.CancelOperationRequest(operation.name)
            with contextlib.suppress(grpc.RpcError):
                self._call("/google.longrunning.Operations/CancelOperation", request, seconds=2)

    def _ask(self, method: str, request: object, answer: type[T]) -> T:
        try:
            return self._decoded(answer, self._call(method, request, _TIMEOUT))
        except grpc.RpcError as error:
            raise self._translated(error) from None

    def _call(self, method: str, request: object, seconds: float) -> bytes:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method)
        return call(encode(request), timeout=seconds, metadata=self._endpoint.headers)

    def _decoded(self, kind: type[T], data: bytes) -> T:
        try:
            return decode(kind, data)
        except ProtobufError as error:
            why = f"its {kind.__name__} is invalid: {error}"
            raise ExecutionRefused(self._endpoint.url, why) from None

    def _translated(self, error: grpc.RpcError) -> RemoteExecutionError:
        status, url = _status_of(error), self._endpoint.url
        if status is grpc.StatusCode.DEADLINE_EXCEEDED:
            return ExecutionServiceUnreachable(url, f"no answer within {_TIMEOUT:g} s")
        if status is grpc.StatusCode.UNAVAILABLE:
            return ExecutionServiceUnreachable(url, _message_of(error))
        return ExecutionRefused(url, _message_of(error))


def _status_of(error: grpc.RpcError) -> Optional[grpc.StatusCode]:
    return error.code() if isinstance(error, grpc.Call) else None


def _message_of(error: grpc.RpcError) -> str:
    """`NOT_FOUND: no such file`."""
    if isinstance(error, grpc.Call):
        return f"{error.code().name}: {error.details()}"
    return str(error)


def _described(status: messages.Status) -> str:
    """`NOT_FOUND: no such file`."""
    names = {each.value[0]: each.name for each in grpc.StatusCode}
    return f"{names.get(status.code, status.code)}: {status.message}"
