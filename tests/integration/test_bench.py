"""The benchmarks run and report what they document. No test asserts a speed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from lab import images


@pytest.mark.timeout(300)
def test_a_benchmark_reports_every_contender(tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    command = [str(images.REPOSITORY / "tools" / "bench"), "incremental", "--small"]
    command += ["--runs=1", "--rtt=5", f"--json={output}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(output.read_text())
    assert result.keys() >= {"bench", "rtt_ms", "runs", "seconds", "ratios"}
    assert result["ratios"].keys() == {
        "best_rival_over_ours",
        "ssh_over_ours",
        "ssh_ng_over_ours",
        "limit_over_ours",
    }
    contenders = {"nix-remote", "ssh-ng", "ssh", "nix-copy-closure", "limit-import", "limit-send"}
    assert result["seconds"].keys() == contenders
    assert all(seconds > 0 for seconds in result["seconds"].values())
    assert result["wire_bytes"]["nix-remote"] > 1000
    assert result["versions"]["nix"]


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_the_parts_of_a_copier_that_is_alone_are_told_apart(tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    command = [str(images.REPOSITORY / "tools" / "bench"), "alone", "--small"]
    command += ["--runs=1", f"--json={output}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    seconds = json.loads(output.read_text())["seconds"]
    # Independent of the load of the machine.
    assert seconds["python"] < seconds["loading"] < seconds["paramiko"]
    assert {"openssh", "with master", "ssh", "ssh, master"} <= seconds.keys()
