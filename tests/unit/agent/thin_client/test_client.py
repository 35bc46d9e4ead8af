"""What a client does with answers, and when it begins to serve."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nix_remote.agent import thin_client
from nix_remote.agent.thin_client import connecting, framing, leadership


def test_a_stale_socket_is_replaced(runtime: Path) -> None:
    dead = leadership.try_to_lead(connecting.folder())
    assert dead is not None
    os.close(dead.lock)
    dead.listener.close()
    assert connecting.connect(connecting.folder()) is None
    outcome = thin_client.obtain(["copy"])
    assert isinstance(outcome, leadership.Lead)
    os.close(outcome.lock)
    outcome.listener.close()


def serve(listener: object, *answers: bytes) -> threading.Thread:
    """Answers one client after the other with these bytes, and hangs up."""
    server = socket.socket(fileno=listener.detach())  # type: ignore[attr-defined]

    def work() -> None:
        with server:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(1 << 20)
                    connection.sendall(answer)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_client_whose_server_dies_asks_again_and_leads_in_the_end(runtime: Path) -> None:
    lead = leadership.try_to_lead(connecting.folder())
    assert lead is not None
    thread = serve(lead.listener, framing.hello(), b"")

    def die() -> None:
        thread.join()
        os.close(lead.lock)

    dying = threading.Thread(target=die)
    dying.start()
    outcome = thin_client.obtain(["copy"])
    dying.join()
    assert isinstance(outcome, leadership.Lead)
    os.close(outcome.lock)
    outcome.listener.close()


def test_a_client_is_answered_by_the_serving_process(runtime: Path) -> None:
    lead = leadership.try_to_lead(connecting.folder())
    assert lead is not None
    thread = serve(lead.listener, framing.hello() + framing.frame(framing.EXIT, b"12"))
    assert thin_client.obtain(["copy"]) == 12
    thread.join()
    os.close(lead.lock)


def test_a_client_whose_working_directory_was_removed_uses_the_full_program(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = runtime / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(framing.Unusable):
        thin_client.obtain(["copy"])


@pytest.mark.parametrize(
    ("arguments", "variable", "wanted"),
    [
        (["copy", "/nix/store/x"], "", True),
        (["copy", "--no-agent", "x"], "", False),
        (["copy", "x"], "off", False),
        (["plan", "x"], "", False),
        (["copy", "--help"], "", False),
        ([], "", False),
    ],
)
def test_only_copies_use_an_agent_and_only_if_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], variable: str, wanted: bool
) -> None:
    monkeypatch.setenv("NIX_REMOTE_AGENT", variable)
    assert thin_client.wanted(arguments) is wanted


def test_a_file_is_written_atomically(tmp_path: Path) -> None:
    name = tmp_path / "new" / "manifest.json"
    thin_client.write_file(str(name), b"first")
    with open(name, "rb") as opened:
        thin_client.write_file(str(name), b"second")
        assert opened.read() == b"first"
    assert name.read_bytes() == b"second"
    assert os.listdir(name.parent) == ["manifest.json"]


def test_a_symbolic_link_is_replaced_by_the_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("other")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    thin_client.write_file(str(tmp_path / "link"), b"new")
    assert (tmp_path / "other").read_text() == "other"
    assert (tmp_path / "link").read_text() == "new"


def test_a_device_stays_a_device() -> None:
    thin_client.write_file("/dev/null", b"text")
    assert not os.path.isfile("/dev/null")


def test_a_file_that_cannot_be_replaced_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        thin_client.write_file(str(tmp_path / "folder"), b"text")
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize(("sent", "status"), [(b"0", 2), (b"11", 11)])
def test_a_file_that_cannot_be_written_is_an_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], sent: bytes, status: int
) -> None:
    here, there = socket.socketpair()
    name = os.fsencode(tmp_path)
    with here, there:
        there.sendall(framing.frame(framing.FILE, name + b"\0text\n"))
        there.sendall(framing.frame(framing.EXIT, sent))
        assert thin_client._follow(framing.Conversation(here)) == status
    said = capfd.readouterr().err
    assert f"{tmp_path} cannot be written: " in said


def test_the_client_runs_from_its_folder_alone_and_becomes_the_full_program(
    tmp_path: Path,
) -> None:
    """As the launcher that Bazel starts."""
    program = tmp_path / "program.py"
    program.write_text("import sys; print(sys.argv[1:])")
    folder = Path(thin_client.__file__).parent.parent
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import thin_client;"
        " sys.exit(thin_client.main())"
    )
    started = [sys.executable, "-I", "-S", "-c", code, str(program)]
    for words in (["plan", "x"], ["copy", "--no-agent", "x"]):
        done = subprocess.run([*started, *words], capture_output=True, text=True, check=True)
        assert done.stdout == f"{words}\n"
