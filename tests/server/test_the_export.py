"""What a client reaches that makes up file handles: nothing but the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Server

pytestmark = pytest.mark.timeout(600)

_PROGRAM = Path(__file__).parents[1] / "nfs" / "forged_handles.py"
_ROOT_OF_EXT4 = "2:0"
"""Inode and generation of a file system's root folder."""


def reached(server: Server) -> dict[str, Any]:
    """What the client gets with the store's handle, and with one of the root folder."""
    workstation = server.lab.workstation
    workstation.write("/run/forged.py", _PROGRAM.read_text())
    address = server.machine.address
    done = workstation.run(["python3", "/run/forged.py", address, _ROOT_OF_EXT4], timeout=120)
    found: dict[str, Any] = json.loads(done.check().stdout)
    return found


def test_a_handle_of_another_folder_of_the_file_system_is_refused(server: Server) -> None:
    server.set_up().check()
    found = reached(server)
    assert found["store"] > 0
    assert found[_ROOT_OF_EXT4].startswith("refused: ")


def test_without_the_check_it_is_not(server: Server) -> None:
    """What the option is for."""
    server.set_up().check()
    exports = "/etc/exports.d/nix-remote.exports"
    try:
        server.machine.sh(f"sed -i s/,subtree_check/,no_subtree_check/ {exports}; exportfs -ra")
        assert "etc" in reached(server)[_ROOT_OF_EXT4]
    finally:
        server.set_up().check()
    assert reached(server)[_ROOT_OF_EXT4].startswith("refused: ")
