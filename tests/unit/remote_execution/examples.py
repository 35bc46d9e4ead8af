"""One example of every message, with every field set: for our codec and for the library's."""

from __future__ import annotations

from nix_remote.remote_execution.messages import (
    Action,
    ActionResult,
    Any,
    BatchReadBlobsRequest,
    BatchReadBlobsResponse,
    BatchUpdateBlobsRequest,
    BatchUpdateBlobsResponse,
    CacheCapabilities,
    CancelOperationRequest,
    Command,
    Digest,
    Directory,
    Duration,
    ExecutedActionMetadata,
    ExecuteOperationMetadata,
    ExecuteRequest,
    ExecuteResponse,
    ExecutionCapabilities,
    FileNode,
    GetCapabilitiesRequest,
    Operation,
    Platform,
    Property,
    ReadResponse,
    ServerCapabilities,
    Status,
    UpdateRequest,
    UpdateResponse,
    Version,
)

_DIGEST = Digest("ab" * 32, 300)
_PLATFORM = Platform((Property("OSFamily", "linux"), Property("pool", "größer")))
_STATUS = Status(5, "not found")
_RESULT = ActionResult(
    -1, b"out", _DIGEST, b"\xff\x00", _DIGEST, ExecutedActionMetadata("executor-1")
)

EXAMPLES: tuple[object, ...] = (
    _DIGEST,
    Property("pool", "a"),
    _PLATFORM,
    Command(("/bin/sh", "look.sh"), _PLATFORM),
    FileNode("paths", _DIGEST),
    Directory((FileNode("a", _DIGEST), FileNode("b", _DIGEST))),
    Duration(60),
    Action(_DIGEST, _DIGEST, Duration(60), True, _PLATFORM),
    _STATUS,
    Any("type.googleapis.com/x", b"\x08\x02"),
    ExecuteRequest("main", True, _DIGEST, 1),
    Operation("operations/1", Any("a", b"b"), True, _STATUS),
    CancelOperationRequest("operations/1"),
    ExecuteOperationMetadata(3),
    ExecutedActionMetadata("executor-1"),
    _RESULT,
    ExecuteResponse(_RESULT, True, _STATUS),
    UpdateRequest(_DIGEST, b"data"),
    BatchUpdateBlobsRequest("main", (UpdateRequest(_DIGEST, b"data"), UpdateRequest()), 1),
    UpdateResponse(_DIGEST, _STATUS),
    BatchUpdateBlobsResponse((UpdateResponse(_DIGEST, _STATUS),)),
    BatchReadBlobsRequest("main", (_DIGEST, _DIGEST), 1),
    ReadResponse(_DIGEST, b"data", _STATUS),
    BatchReadBlobsResponse((ReadResponse(_DIGEST, b"data", _STATUS),)),
    GetCapabilitiesRequest("main"),
    CacheCapabilities((1, 9)),
    ExecutionCapabilities(1, True, (1, 9)),
    Version(2, 12, 1, "beta"),
    ServerCapabilities(
        CacheCapabilities((1,)),
        ExecutionCapabilities(1, True, (1,)),
        Version(2),
        Version(2, 2),
        Version(2, 12),
    ),
)
