import argparse
import errno
import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nix_remote.cli import copy
from nix_remote.cli import main as cli
from nix_remote.cli.doctor import COMMAND, DoctorData
from nix_remote.cli.main import main
from nix_remote.cli.output import OwnStreams, conclude
from nix_remote.cli.result import CopyData, Result
from nix_remote.errors import CRASHED, FileUnwritable


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAZEL_NIX_REMOTE", raising=False)


def test_an_error_is_text_for_people_and_an_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", "--package", "hello", "/nix/store"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nix-remote: hello: error[no-host]: ")
    assert "\n  fix: set BAZEL_NIX_REMOTE" in err


def test_an_error_is_an_envelope_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", "--json", "--host", "x", "/etc/passwd"]) == 11
    envelope = json.loads(capsys.readouterr().out)
    assert (envelope["version"], envelope["command"], envelope["status"]) == (1, "copy", "error")
    assert envelope["error"]["code"] == "not-a-store-path"
    assert set(envelope["error"]) == {"code", "what", "why", "fix"}


def test_a_caller_gets_an_error_in_one_line_and_people_get_all_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "error"
    assert main(["copy", "--error-file", str(file), "/nix/store"]) == 2
    assert "\n  fix: set BAZEL_NIX_REMOTE" in capsys.readouterr().err
    assert file.read_text() == "error[no-host]: no Nix server given\n"


def test_fixes_for_bazel_are_shown_in_fetches_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIX_REMOTE_SSH_CONFIG", str(tmp_path / "config"))
    (tmp_path / "config").write_text("Host nix\n HostName 127.0.0.1\n Port 1\n")
    doctor = ["roots", "list", "--host", "nix"]
    for words, named in ((doctor, False), ([*doctor, "--error-file", str(tmp_path / "e")], True)):
        assert main(words) == 12
        text = capsys.readouterr().err
        assert "error[connection-refused]" in text
        assert ("--repo_env=BAZEL_NIX_REMOTE=" in text) is named


def test_an_error_whose_file_cannot_be_written_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    file = tmp_path / "file" / "error"
    assert main(["copy", "--error-file", str(file), "/nix/store"]) == 2
    said = capsys.readouterr().err
    assert f"{file} cannot be written" in said
    assert "error[no-host]" in said


@pytest.mark.parametrize("json_too", [False, True])
def test_a_file_of_a_result_that_cannot_be_written_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], json_too: bool
) -> None:
    file = str(tmp_path / "manifest")
    (tmp_path / "manifest").mkdir()
    options = argparse.Namespace(json=json_too, package="", error_file=None)
    result: Result[DoctorData] = Result(
        "doctor", {"host": "x", "findings": []}, files={file: "text"}
    )
    assert conclude(COMMAND, options, result, OwnStreams()) == 2
    out, err = capsys.readouterr()
    if json_too:
        assert json.loads(out)["error"]["code"] == "file-unwritable"
    assert "error[file-unwritable]" in err


@pytest.mark.parametrize(
    "words",
    [
        ["--host", "two words", "--json", "list"],
        ["--host", "two words", "list", "--json"],
        ["--json", "list", "--host", "two words"],
        ["list", "--host", "two words", "--json"],
    ],
)
def test_common_options_may_come_before_or_after_an_action(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["roots", *words]) == 2
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["error"]["code"] == "invalid-host-alias"
    assert "'two words'" in envelope["error"]["what"]


def test_a_bug_is_reported_as_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("nix_remote.settings.choose", broken)
    assert main(["copy", "/nix/store"]) == CRASHED
    err = capsys.readouterr().err
    assert "ZeroDivisionError: oh" in err
    assert "this is a bug" in err


def test_an_interruption_is_not_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), 15)

    monkeypatch.setattr("nix_remote.settings.choose", interrupted)
    assert main(["copy", "/nix/store"]) == 130
    assert "error[interrupted]" in capsys.readouterr().err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = importlib.import_module(f"nix_remote.cli.{name}").COMMAND
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert command.description.splitlines()[0] in capsys.readouterr().out


def test_without_a_command_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    assert [name for name in cli.COMMANDS if f"\n    {name} " in listed] == list(cli.COMMANDS)


def test_only_the_requested_command_is_loaded() -> None:
    code = "import sys; from nix_remote.cli.main import main\ntry: main(['copy', '--help'])\n"
    code += "except SystemExit: print('nix_remote.cli.doctor' in sys.modules)"
    reported = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert reported.stdout.splitlines()[-1] == "False"


HOSTILE = "\x1b]0;owned\x07\x1b[31mred\u202e\x9b1m\udcff"


def test_the_name_of_a_package_cannot_control_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["copy", f"--package={HOSTILE}", "/nix/store"]) == 2
    assert capsys.readouterr().err.startswith("nix-remote: red\ufffd: error[no-host]: ")


def test_json_has_no_character_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", "--json", "--host=x", f"/tmp/{HOSTILE}"]) == 11
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.removesuffix("\n").isprintable()
    assert json.loads(out)["error"]["code"] == "not-a-store-path"


def test_a_manifest_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    options = argparse.Namespace(package=None, json=False, error_file=None)
    data: CopyData = {"host": "s", "closure": [], "sent": [], "sent_bytes": 0, "roots": {}}
    result = Result("copy", data, files={f"{tmp_path}/file/x": "text"})
    output = OwnStreams()
    assert conclude(copy.COMMAND, options, result, output) == FileUnwritable.exit_status


def test_an_error_file_that_cannot_be_written_hides_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["copy", f"--error-file={tmp_path}/file/x", "/nix/store"]) == 2
    text = capsys.readouterr().err
    assert "error[no-host]" in text
    assert "error[file-unwritable]" in text


@pytest.mark.parametrize(
    "lack",
    [
        OSError(errno.EMFILE, "Too many open files"),
        MemoryError(),
        RuntimeError("can't start new thread"),
    ],
)
def test_a_shortage_of_resources_is_reported(
    lack: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: argparse.Namespace) -> Result[CopyData]:
        raise lack

    monkeypatch.setattr(copy, "COMMAND", replace(copy.COMMAND, run=fail))
    assert main(["copy", "--host", "x", "/nix/store"]) == 2
    text = capsys.readouterr().err
    assert "error[resources-exhausted]" in text
    assert "ulimit -n" in text


def test_a_limit_of_descriptors_ends_no_command_with_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host nix\n HostName 127.0.0.1\n Port 1\n")
    env = {"NIX_REMOTE_SSH_CONFIG": str(tmp_path / "config"), "HOME": str(tmp_path)}
    reported = 0
    for limit in (6, 8, 12, 20):
        command = [sys.executable, "-m", "nix_remote", "roots", "list", "--host=nix"]
        done = subprocess.run(
            ["prlimit", f"--nofile={limit}", *command], capture_output=True, text=True, env=env
        )
        if "nix-remote: " in done.stderr:
            assert done.returncode == 2, done.stderr
            assert "error[resources-exhausted]" in done.stderr
            reported += 1
    assert reported > 1


@pytest.mark.parametrize(("options", "shown"), [((), False), (("-W", "default"), True)])
def test_warnings_of_libraries_are_shown_on_request_only(
    options: tuple[str, ...], shown: bool
) -> None:
    code = (
        "import contextlib, sys, warnings; from nix_remote.cli.main import main\n"
        "sys.argv[1:] = ['--version']\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "warnings.warn('a library says', UserWarning)\n"
    )
    command = [sys.executable, *options, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ("a library says" in done.stderr) is shown
