"""The copier as a user runs it, on the workstation; and store paths of a test's own."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from dataclasses import dataclass
from typing import Any, Mapping, Optional

import pytest

from lab import nix
from lab.commands import Outcome
from lab.host import Host
from lab.lab import ALIAS, WORKSPACE

over_both_transports = pytest.mark.parametrize("copier", ["paramiko", "openssh"], indirect=True)
"""For tests that depend on the transport; other tests use the default one."""

over_openssh_if_thorough = pytest.mark.parametrize(
    "copier",
    ["paramiko", pytest.param("openssh", marks=pytest.mark.thorough)],
    indirect=True,
)
"""For tests that add little over OpenSSH."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Copier:
    """`nix-remote copy` on the workstation of a lab."""

    host: Host
    transport: Optional[str] = None

    def command(self, *words: str, alias: str = ALIAS) -> list[str]:
        transport = [f"--transport={self.transport}"] if self.transport else []
        copy = ["nix-remote", "copy", "--workspace", WORKSPACE, f"--host={alias}"]
        return [*copy, *transport, *words]

    def run(
        self,
        *words: str,
        alias: str = ALIAS,
        env: Optional[Mapping[str, str]] = None,
        timeout: float = 60,
    ) -> Outcome:
        """Runs it and waits for it, whether it succeeds or not."""
        return self.host.run(self.command(*words, alias=alias), env=env, timeout=timeout)

    def copy(
        self, *words: str, alias: str = ALIAS, env: Optional[Mapping[str, str]] = None
    ) -> dict[str, Any]:
        """Copies; returns the data of the JSON envelope."""
        envelope = json.loads(self.run("--json", *words, alias=alias, env=env).check().stdout)
        assert envelope["status"] == "success"
        data: dict[str, Any] = envelope["data"]
        return data

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Starts it and returns at once; the caller reads both streams."""
        return self.host.popen(
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def fails(
        self,
        code: str,
        *words: str,
        alias: str = ALIAS,
        env: Optional[Mapping[str, str]] = None,
        within: float = 20,
    ) -> str:
        """Checks that it fails with that error, in that time; returns the text."""
        begun = time.monotonic()
        outcome = self.run(*words, alias=alias, env=env)
        seconds = time.monotonic() - begun
        assert outcome.status != 0
        assert f"error[{code}]" in outcome.stderr, outcome.text
        assert "\n  fix: " in outcome.stderr
        assert seconds < within, f"took {seconds:.1f} s"
        return outcome.stderr


def new_closure(workstation: Host, *, megabytes: float = 0) -> list[str]:
    """A new closure on a workstation: top -> middle -> leaf, and the lab's bash and glibc.

    The leaf has that many megabytes of noise. Returns the whole closure,
    references first; the top is the last.
    """
    number = next(_numbers)
    size = int(megabytes * 1_000_000)
    (top,) = nix.build_expression(
        workstation,
        f"""
        let
          leaf = pkgs.runCommand "leaf-{number}" {{ }} ''
            head -c {size} /dev/urandom > $out
            echo leaf {number} >> $out
          '';
          middle = pkgs.runCommand "middle-{number}" {{ }} ''
            mkdir -p $out/bin
            ln -s ${{leaf}} $out/leaf
            echo '#!/bin/sh' > $out/bin/run
            chmod +x $out/bin/run
          '';
        in pkgs.runCommand "top-{number}" {{ }} ''
          mkdir $out
          echo ${{middle}} ${{pkgs.bash}} $out > $out/references
        ''
        """,
    )
    return nix.closure(workstation, top)


def assert_kept_whole(server: Host, workstation: Host, paths: list[str]) -> None:
    """The server has these paths, with the workstation's registration, and the right content."""
    for path in paths:
        assert nix.registration(server, path) == nix.registration(workstation, path)
    nix.verify(server, paths)


def root_links(server: Host, home: str = "/home/copier") -> dict[str, str]:
    """The durable roots in an account's home: link -> store path."""
    found = server.run(
        ["find", f"{home}/.local/state/nix-remote/gcroots", "-type", "l", "-printf", "%p %l\\n"]
    )
    return dict(line.split() for line in found.stdout.splitlines())
