"""Everything that can go wrong and that a user must see: what, why, and the fix.

    NixRemoteError
      UsageError           2   NoHost · InvalidHostAlias · InvalidSetting ·
                               SigningKeyUnusable · NothingToSelectBy · SetupInputUnusable ·
                               OutputBaseNotFound · OutputFileUnwritable · GrpcMissing
      AgentError          19   AgentNotStarted
      SshConfigError      10   SshConfigUnreadable · SshConfigUnsupported
      LocalStoreError     11   NotAStorePath · PathNotValid · LocalStoreUnavailable ·
                               PathContentMissing · PathContentChanged
      ConnectionFailed    12   OpenSshMissing · HostNotFound · ConnectionRefused ·
                               ConnectionTimedOut · ConnectionBroken · TransferStalled ·
                               ProxyFailed · ServerBusy
      HostKeyError        13   HostKeyUnknown · HostKeyChanged · HostKeyRevoked ·
                               HostKeyUnacceptable
      AuthenticationError 14   LoginRefused · AgentUnreachable
      ServerError         15   NixNotFound · UnexpectedOutput · ServerTooOld ·
                               ServerEndedSession · ProtocolViolation
      TrustError          16   SignatureRequired
      TransferError       17   PathRefused · ServerDiskFull · ServerQuotaExceeded ·
                               ServerStoreReadOnly · ContentDiffers
      PromiseError        18   ClosureNotKept · CollectorNotAwaited · RootRefused ·
                               RootsUnreadable · ContentsUnreadable
      RemoteExecutionError 20  ExecutionServiceUnreachable · ExecutionRefused ·
                               ActionNotTaken · ActionNotFinished
      Interrupted        130

Every leaf has a stable code (for scripts and for searching), an exit status
shared by its family, and a fix. Exceptions of other libraries never reach a
user: they are turned into one of these where they arise.

Belongs here: texts and their classification. No input or output.
"""

from __future__ import annotations

from nix_remote.errors.base import CRASHED, NixRemoteError
from nix_remote.errors.local import (
    LocalStoreError,
    LocalStoreUnavailable,
    NotAStorePath,
    PathContentChanged,
    PathContentMissing,
    PathNotValid,
)
from nix_remote.errors.promise import (
    ClosureNotKept,
    CollectorNotAwaited,
    ContentDiffers,
    ContentsUnreadable,
    PathRefused,
    PromiseError,
    RootRefused,
    RootsUnreadable,
    ServerDiskFull,
    ServerQuotaExceeded,
    ServerStoreReadOnly,
    TransferError,
)
from nix_remote.errors.remote_execution import (
    ActionNotFinished,
    ActionNotTaken,
    ExecutionRefused,
    ExecutionServiceUnreachable,
    RemoteExecutionError,
)
from nix_remote.errors.server import (
    NixNotFound,
    ProtocolViolation,
    ServerEndedSession,
    ServerError,
    ServerTooOld,
    SignatureRequired,
    TrustError,
    UnexpectedOutput,
)
from nix_remote.errors.ssh import (
    AgentUnreachable,
    AuthenticationError,
    ConnectionBroken,
    ConnectionFailed,
    ConnectionRefused,
    ConnectionTimedOut,
    HostKeyChanged,
    HostKeyError,
    HostKeyRevoked,
    HostKeyUnacceptable,
    HostKeyUnknown,
    HostNotFound,
    LoginRefused,
    OpenSshMissing,
    ProxyFailed,
    ServerBusy,
    SshConfigError,
    SshConfigUnreadable,
    SshConfigUnsupported,
    TransferStalled,
)
from nix_remote.errors.usage import (
    AgentError,
    AgentNotStarted,
    GrpcMissing,
    Interrupted,
    InvalidHostAlias,
    InvalidSetting,
    NoHost,
    NothingToSelectBy,
    OutputBaseNotFound,
    OutputFileUnwritable,
    SetupInputUnusable,
    SigningKeyUnusable,
    UsageError,
)
