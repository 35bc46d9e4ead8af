"""The local store."""

from __future__ import annotations

from nix_remote.errors.base import NixRemoteError


class LocalStoreError(NixRemoteError):
    """A path cannot be read from the local store."""

    exit_status = 11


class NotAStorePath(LocalStoreError):
    code = "not-a-store-path"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text!r} is not in the Nix store",
            why="only paths below /nix/store can be copied",
            fix="give a store path, a path below one, or a link to one (such as ./result)",
        )


class PathNotValid(LocalStoreError):
    code = "path-not-valid"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is not valid in the local store",
            why="it was never realised on this machine, or it has been garbage-collected",
            fix=f"realise it: nix-store --realise {path}\n"
            "(in Bazel: bazel fetch --force, so that rules_nixpkgs builds it again)",
        )


class LocalStoreUnavailable(LocalStoreError):
    code = "local-store-unavailable"

    def __init__(self, why: str) -> None:
        super().__init__(
            "cannot query the local Nix store",
            why=why,
            fix="check that `nix-store --query --requisites PATH` works for your user",
        )


class PathContentMissing(LocalStoreError):
    code = "path-content-missing"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"cannot read the content of {path} on this machine",
            why=why,
            fix=f"repair it: nix-store --repair-path {path}",
        )


class PathContentChanged(LocalStoreError):
    code = "path-content-changed"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"{path} has changed on this machine since it was registered",
            why=why,
            fix=f"see the difference: nix-store --verify-path {path}\n"
            f"repair it: nix-store --repair-path {path}",
        )
