"""The messages of the Remote Execution API, version 2, that a look needs: of each what is used.

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
    """The name of a blob."""

    hash: Annotated[str, 1] = ""
    size_bytes: Annotated[int, 2] = 0


def digest_of(data: bytes) -> Digest:
    """The name that a blob has."""
    return Digest(hashlib.sha256(data).hexdigest(), len(data))


# What an action is made of.


@dataclass(frozen=True)
class Property:
    """Something that is asked of an executor."""

    name: Annotated[str, 1] = ""
    value: Annotated[str, 2] = ""


@dataclass(frozen=True)
class Platform:
    """What is asked of an executor, sorted."""

    properties: Annotated[tuple[Property, ...], 1] = ()


@dataclass(frozen=True)
class Command:
    """What is run."""

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
    """A time."""

    seconds: Annotated[int, 1] = 0


@dataclass(frozen=True)
class Action:
    """A command and its inputs."""

    command_digest: Annotated[Digest, 1] = Digest()
    input_root_digest: Annotated[Digest, 2] = Digest()
    timeout: Annotated[Duration, 6] = Duration()
    do_not_cache: Annotated[bool, 7] = False
    platform: Annotated[Platform, 10] = Platform()


# Running it.


@dataclass(frozen=True)
class Status:
    """How something ended; code 0 is success."""

    code: Annotated[int, 1] = 0
    message: Annotated[str, 2] = ""


@dataclass(frozen=True)
class Any:
    """A message with its type's name."""

    type_url: Annotated[str, 1] = ""
    value: Annotated[bytes, 2] = b""


@dataclass(frozen=True)
class ExecuteRequest:
    """Run this."""

    instance_name: Annotated[str, 1] = ""
    skip_cache_lookup: Annotated[bool, 3] = False
    action_digest: Annotated[Digest, 6] = Digest()
    digest_function: Annotated[int, 9] = 0
    """Since version 2.3 of the API; a later one may want it."""


@dataclass(frozen=True)
class Operation:
    """How far it is. `response` has an `ExecuteResponse` once it is done without an `error`."""

    name: Annotated[str, 1] = ""
    metadata: Annotated[Any, 2] = Any()
    done: Annotated[bool, 3] = False
    error: Annotated[Status, 4] = Status()
    response: Annotated[Any, 5] = Any()


@dataclass(frozen=True)
class CancelOperationRequest:
    """Nobody waits for it any more."""

    name: Annotated[str, 1] = ""


@dataclass(frozen=True)
class ExecuteOperationMetadata:
    """The stage it is in."""

    stage: Annotated[int, 1] = 0


@dataclass(frozen=True)
class ExecutedActionMetadata:
    """Who has run it."""

    worker: Annotated[str, 1] = ""


@dataclass(frozen=True)
class ActionResult:
    """What it left behind. Output is here, or a blob, as the service likes."""

    exit_code: Annotated[int, 4] = 0
    stdout_raw: Annotated[bytes, 5] = b""
    stdout_digest: Annotated[Digest, 6] = Digest()
    stderr_raw: Annotated[bytes, 7] = b""
    stderr_digest: Annotated[Digest, 8] = Digest()
    execution_metadata: Annotated[ExecutedActionMetadata, 9] = ExecutedActionMetadata()


@dataclass(frozen=True)
class ExecuteResponse:
    """The end of it."""

    result: Annotated[ActionResult, 1] = ActionResult()
    cached_result: Annotated[bool, 2] = False
    status: Annotated[Status, 3] = Status()


# Blobs.


@dataclass(frozen=True)
class UpdateRequest:
    """A blob."""

    digest: Annotated[Digest, 1] = Digest()
    data: Annotated[bytes, 2] = b""


@dataclass(frozen=True)
class BatchUpdateBlobsRequest:
    """Keep these."""

    instance_name: Annotated[str, 1] = ""
    requests: Annotated[tuple[UpdateRequest, ...], 2] = ()
    digest_function: Annotated[int, 5] = 0


@dataclass(frozen=True)
class UpdateResponse:
    """Whether it is kept."""

    digest: Annotated[Digest, 1] = Digest()
    status: Annotated[Status, 2] = Status()


@dataclass(frozen=True)
class BatchUpdateBlobsResponse:
    """Whether they are kept."""

    responses: Annotated[tuple[UpdateResponse, ...], 1] = ()


@dataclass(frozen=True)
class BatchReadBlobsRequest:
    """Give me these."""

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


# What the service is.


@dataclass(frozen=True)
class GetCapabilitiesRequest:
    """Tell what you can do."""

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
    """Of its storage."""

    digest_functions: Annotated[tuple[int, ...], 1] = ()


@dataclass(frozen=True)
class ExecutionCapabilities:
    """Of its executors."""

    digest_function: Annotated[int, 1] = 0
    exec_enabled: Annotated[bool, 2] = False
    digest_functions: Annotated[tuple[int, ...], 5] = ()
    """Since version 2.3 of the API; the one above is among them."""


@dataclass(frozen=True)
class ServerCapabilities:
    """What it can do."""

    cache_capabilities: Annotated[CacheCapabilities, 1] = CacheCapabilities()
    execution_capabilities: Annotated[ExecutionCapabilities, 2] = ExecutionCapabilities()
    deprecated_api_version: Annotated[Version, 3] = Version()
    low_api_version: Annotated[Version, 4] = Version()
    high_api_version: Annotated[Version, 5] = Version()
