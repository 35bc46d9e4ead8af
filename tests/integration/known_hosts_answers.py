"""Connects with `ssh` and over paramiko, for every case on standard input. Runs on a lab's host.

A case is a name, lines for a `Host` entry, and the text of a known_hosts file.
Standard output is JSON: for each case and for each of the two, whether the
server was accepted, and the known_hosts file afterwards.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from nix_remote.errors import HostKeyError
from nix_remote.settings import TransportChoice
from nix_remote.ssh import connect as ssh_connect
from nix_remote.ssh.config import resolve

FOLDER = Path("/root/known-hosts-cases")
_REFUSED = re.compile(
    r"Host key verification failed|host key.*(revoked|changed)|no matching host key"
)


def prepare(case: dict[str, Any]) -> Path:
    """Writes the case's files; returns the config."""
    (FOLDER / "known_hosts").write_text(case["known_hosts"])
    (FOLDER / "global").write_text(case.get("global", ""))
    settings = FOLDER / "config"
    settings.write_text(case["config"])
    settings.chmod(0o600)
    return settings


def afterwards() -> list[str]:
    """The known_hosts file, without random values."""
    lines = (FOLDER / "known_hosts").read_text().splitlines()
    return [re.sub(r"^\|1\|\S+", "HASHED", line) for line in lines]


def with_ssh(case: dict[str, Any]) -> dict[str, Any]:
    settings = prepare(case)
    done = subprocess.run(
        ["ssh", "-F", str(settings), "-o", "BatchMode=yes", "case", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    refused = done.returncode == 255 and _REFUSED.search(done.stderr)
    if done.returncode != 0 and not refused:
        raise SystemExit(f"{case['name']}: {done.stderr}")
    return {"accepted": done.returncode == 0, "known_hosts": afterwards(), "said": done.stderr}


def with_ours(case: dict[str, Any]) -> dict[str, Any]:
    host = resolve.resolve("case", prepare(case), resolve.this_user({}))
    try:
        transport, _ = ssh_connect.connect(host, TransportChoice.PARAMIKO)
    except HostKeyError as error:
        return {"accepted": False, "known_hosts": afterwards(), "said": error.render()}
    said = transport.description
    transport.close()
    return {"accepted": True, "known_hosts": afterwards(), "said": said}


def main() -> None:
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    answers = [
        {"name": case["name"], "ssh": with_ssh(case), "ours": with_ours(case)}
        for case in json.load(sys.stdin)
    ]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
