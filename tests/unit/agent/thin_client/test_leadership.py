"""The lock and the socket of the process that serves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nix_remote.agent.thin_client import connecting, framing, leadership


def test_only_one_process_leads(runtime: Path) -> None:
    lead = leadership.try_to_lead(connecting.folder())
    assert lead is not None
    assert leadership.try_to_lead(connecting.folder()) is None
    os.close(lead.lock)
    lead.listener.close()
    again = leadership.try_to_lead(connecting.folder())
    assert again is not None
    os.close(again.lock)
    again.listener.close()


def test_the_lead_survives_becoming_another_program(runtime: Path) -> None:
    lead = leadership.try_to_lead(connecting.folder())
    assert lead is not None
    code = (
        "import sys; from nix_remote.agent.thin_client import connecting, leadership;"
        "lead = leadership.taken_over(sys.argv[1]);"
        "connection, _ = lead.listener._accept(); print(connecting.peer.__name__)"
    )
    text = leadership.hand_over(lead)
    lock, listener = map(int, text.split(",")[:2])
    with subprocess.Popen(
        [sys.executable, "-c", code, text], pass_fds=(lock, listener), stdout=subprocess.PIPE
    ) as started:
        os.close(lock)
        os.close(listener)
        assert leadership.try_to_lead(connecting.folder()) is None
        connection = connecting.connect(connecting.folder())
        assert connection is not None
        output, _ = started.communicate(timeout=20)
        connection.close()
    assert output == b"peer\n"


@pytest.mark.parametrize("step", ["connect", "listen"])
def test_a_process_that_cannot_listen_does_not_keep_the_lock(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The others would wait for it to listen."""

    def fail(_: str) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(leadership, step, fail)
        with pytest.raises((OSError, framing.Unusable)):
            leadership.try_to_lead(connecting.folder())
    lead = leadership.try_to_lead(connecting.folder())
    assert lead is not None
    os.close(lead.lock)
    lead.listener.close()
