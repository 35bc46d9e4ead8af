"""The messages of the Remote Execution API, version 2, that a probe needs, with the fields it uses.

Names and numbers are those of `build/bazel/remote/execution/v2/remote_execution.proto`,
`google/longrunning/operations.proto` and `google/rpc/status.proto`.

Pure.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final

# Values of the enum `DigestFunction`.
UNKNOWN: Final = 0
SHA256: Final = 1

# Values of the enum `ExecutionStage`.
QUEUED: Final = 2
EXECUTING: Final = 3


@dataclass(frozen=True)
class Digest:
    """The digest of a blob, by which it is identified."""

    hash: Annotated[str, 1] = ""
    size_bytes: Annotated[int, 2] = 0


def digest_of(data: bytes) -> Digest:
    """The digest of a blob."""
    return Digest(hashlib.sha256(data).hexdigest(), len(data))


# Parts of an action.


@dataclass(frozen=True)
class Property:
    """A property that an executor must have."""

    name: Annotated[str, 1] = ""
    value: Annotated[str, 2] = ""


@dataclass(frozen=True)
class Platform:
    """The properties that an executor must have, sorted."""

    properties: Annotated[tuple[Property, ...], 1] = ()


@dataclass(frozen=True)
class Command:
    """The command of an action."""

    arguments: Annotated[tuple[str, ...], 1] = ()
    platform: Annotated[Platform, 5] = Platform()


@dataclass(frozen=True)
class FileNode:
    """A file among the inputs."""

    name: Annotated[str, 1] = ""
    digest: Annotated[Digest, 2] = Digest()


@dataclass(frozen=True)
class Directory:
    """A folder among the inputs."""

    files: Annotated[tuple[FileNode, ...], 1] = ()


@dataclass(frozen=True)
class Duration:
    """A duration."""

    seconds: Annotated[int, 1] = 0


@dataclass(frozen=True)
class Action:
    """A command and its inputs."""

    command_digest: Annotated[Digest, 1] = Digest()
    input_root_digest: Annotated[Digest, 2] = Digest()
    timeout: Annotated[Duration, 6] = Duration()
    do_not_cache: Annotated[bool, 7] = False
    platform: Annotated[Platform, 10] = Platform()


# Execution.


@dataclass(frozen=True)
class Status:
    """The status of an operation; code 0 is success."""

    code: Annotated[int, 1] = 0
    message: Annotated[str, 2] = ""


@dataclass(frozen=True)
class Any:
    """A message with the name of its type."""

    type_url: Annotated[str, 1] = ""
    value: Annotated[bytes, 2] = b""


@dataclass(frozen=True)
class ExecuteRequest:
    """Requests the execution of an action."""

    instance_name: Annotated[str, 1] = ""
    skip_cache_lookup: Annotated[bool, 3] = False
    action_digest: Annotated[Digest, 6] = Digest()
    digest_function: Annotated[int, 9] = 0
    """Since version 2.3 of the API."""


@dataclass(frozen=True)
class Operation:
    """The state of an execution. If done without `error`, `response` has an `ExecuteResponse`."""

    name: Annotated[str, 1] = ""
    metadata: Annotated[Any, 2] = Any()
    done: Annotated[bool, 3] = False
    error: Annotated[Status, 4] = Status()
    response: Annotated[Any, 5] = Any()


@dataclass(frozen=True)
class CancelOperationRequest:
    """Cancels an execution."""

    name: Annotated[str, 1] = ""


@dataclass(frozen=True)
class ExecuteOperationMetadata:
    """The stage of an execution."""

    stage: Annotated[int, 1] = 0


@dataclass(frozen=True)
class ExecutedActionMetadata:
    """The worker that ran an action."""

    worker: Annotated[str, 1] = ""


@dataclass(frozen=True)
class ActionResult:
    """The result of an action. The service sends output here, or stores it as a blob."""

    exit_code: Annotated[int, 4] = 0
    stdout_raw: Annotated[bytes, 5] = b""
    stdout_digest: Annotated[Digest, 6] = Digest()
    stderr_raw: Annotated[bytes, 7] = b""
    stderr_digest: Annotated[Digest, 8] = Digest()
    execution_metadata: Annotated[ExecutedActionMetadata, 9] = ExecutedActionMetadata()


@dataclass(frozen=True)
class ExecuteResponse:
    """The end of an execution."""

    result: Annotated[ActionResult, 1] = ActionResult()
    cached_result: Annotated[bool, 2] = False
    status: Annotated[Status, 3] = Status()


# Blobs.


@dataclass(frozen=True)
class UpdateRequest:
    """A blob to store."""

    digest: Annotated[Digest, 1] = Digest()
    data: Annotated[bytes, 2] = b""


@dataclass(frozen=True)
class BatchUpdateBlobsRequest:
    """Requests that blobs are stored."""

    instance_name: Annotated[str, 1] = ""
    requests: Annotated[tuple[UpdateRequest, ...], 2] = ()
    digest_function: Annotated[int, 5] = 0


@dataclass(frozen=True)
class UpdateResponse:
    """Whether a blob was stored."""

    digest: Annotated[Digest, 1] = Digest()
    status: Annotated[Status, 2] = Status()


@dataclass(frozen=True)
class BatchUpdateBlobsResponse:
    """Whether the blobs were stored."""

    responses: Annotated[tuple[UpdateResponse, ...], 1] = ()


@dataclass(frozen=True)
class BatchReadBlobsRequest:
    """Requests blobs."""

    instance_name: Annotated[str, 1] = ""
    digests: Annotated[tuple[Digest, ...], 2] = ()
    digest_function: Annotated[int, 4] = 0


@dataclass(frozen=True)
class ReadResponse:
    """A blob, if there is no error."""

    digest: Annotated[Digest, 1] = Digest()
    data: Annotated[bytes, 2] = b""
    status: Annotated[Status, 3] = Status()


@dataclass(frozen=True)
class BatchReadBlobsResponse:
    """The blobs."""

    responses: Annotated[tuple[ReadResponse, ...], 1] = ()


# Capabilities.


@dataclass(frozen=True)
class GetCapabilitiesRequest:
    """Requests the capabilities of a service."""

    instance_name: Annotated[str, 1] = ""


@dataclass(frozen=True)
class Version:
    """A version of the API (`build/bazel/semver/semver.proto`)."""

    major: Annotated[int, 1] = 0
    minor: Annotated[int, 2] = 0
    patch: Annotated[int, 3] = 0
    prerelease: Annotated[str, 4] = ""


@dataclass(frozen=True)
class CacheCapabilities:
    """The capabilities of the storage."""

    digest_functions: Annotated[tuple[int, ...], 1] = ()


@dataclass(frozen=True)
class ExecutionCapabilities:
    """The capabilities of the executors."""

    digest_function: Annotated[int, 1] = 0
    exec_enabled: Annotated[bool, 2] = False
    digest_functions: Annotated[tuple[int, ...], 5] = ()
    """Since version 2.3 of the API; includes `digest_function`."""


@dataclass(frozen=True)
class ServerCapabilities:
    """The capabilities of a service."""

    cache_capabilities: Annotated[CacheCapabilities, 1] = CacheCapabilities()
    execution_capabilities: Annotated[ExecutionCapabilities, 2] = ExecutionCapabilities()
    deprecated_api_version: Annotated[Version, 3] = Version()
    low_api_version: Annotated[Version, 4] = Version()
    high_api_version: Annotated[Version, 5] = Version()
