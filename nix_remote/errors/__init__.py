"""All errors that users see, each with what happened, why, and the fix.

    NixRemoteError
      UsageError           2   NoHost · InvalidHostAlias · InvalidSetting ·
                               SigningKeyUnusable · NothingToSelectBy · WorkspaceAmbiguous ·
                               SetupInputUnusable · OutputBaseNotFound · FileUnwritable ·
                               GrpcMissing · WorkingFolderGone · ResourcesExhausted
      AgentError          19   AgentNotStarted
      SshConfigError      10   SshConfigUnreadable · SshConfigUnsupported
      LocalStoreError     11   NotAStorePath · PathNotValid · LocalStoreUnavailable ·
                               PathContentMissing · PathContentChanged
      ConnectionFailed    12   OpenSshMissing · HostNotFound · HostUnreachable · ConnectionRefused ·
                               ConnectionTimedOut · ConnectionBroken · NegotiationFailed ·
                               TransferStalled · ProxyFailed · ServerBusy
      HostKeyError        13   HostKeyUnknown · HostKeyChanged · HostKeyRevoked ·
                               HostKeyUnacceptable
      AuthenticationError 14   LoginRefused · AgentUnreachable
      ServerError         15   NixNotFound · UnexpectedOutput · ServerTooOld ·
                               ServerEndedSession · ProtocolViolation · OutputTooLong ·
                               AccountNotAllowed · DaemonNotReached · DaemonSocketClosed
      TrustError          16   SignatureRequired
      TransferError       17   PathRefused · ContentAddressRefused · PathTooDeep ·
                               NameTooLong · ServerDiskFull · ServerQuotaExceeded ·
                               ServerStoreReadOnly · ContentDiffers · ContentDamaged ·
                               ReplacementImpossible
      PromiseError        18   ClosureNotKept · CollectorNotAwaited · RootRefused ·
                               RootNotCounted · RootNotConfirmed · RootsUnreadable ·
                               ClocksDisagree · ContentsUnreadable · ManifestsUnusable
      RemoteExecutionError 20  ExecutionServiceUnreachable · ExecutionRefused ·
                               ActionNotTaken · ActionNotFinished
      Interrupted        130

Every leaf has a stable code (for scripts and for searching), an exit status that its family
shares, and a fix. Exceptions of other libraries never reach a user: the code that calls the
library converts them into one of these.

Belongs here: texts and their classification. Not: input or output.
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
    ClocksDisagree,
    ClosureNotKept,
    CollectorNotAwaited,
    ContentAddressRefused,
    ContentDamaged,
    ContentDiffers,
    ContentsUnreadable,
    ManifestsUnusable,
    NameTooLong,
    PathRefused,
    PathTooDeep,
    PromiseError,
    ReplacementImpossible,
    RootNotConfirmed,
    RootNotCounted,
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
    AccountNotAllowed,
    DaemonNotReached,
    DaemonSocketClosed,
    NixNotFound,
    OutputTooLong,
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
    HostUnreachable,
    LoginRefused,
    NegotiationFailed,
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
    FileUnwritable,
    GrpcMissing,
    Interrupted,
    InvalidHostAlias,
    InvalidSetting,
    NoHost,
    NothingToSelectBy,
    OutputBaseNotFound,
    ResourcesExhausted,
    SetupInputUnusable,
    SigningKeyUnusable,
    UsageError,
    WorkingFolderGone,
    WorkspaceAmbiguous,
)
