import os

import pytest

from nix_remote.processes import ProcessFailed, dialogue


def test_a_process_can_be_talked_to() -> None:
    with dialogue(["cat"]) as cat:
        cat.stdin.write(b"hello")
        cat.stdin.flush()
        assert cat.stdout.read(5) == b"hello"


def test_a_program_that_does_not_exist_is_named() -> None:
    with (
        pytest.raises(ProcessFailed, match=r"no-such-program: No such file"),
        dialogue(["no-such-program"]),
    ):
        pass


def test_what_a_process_wrote_to_standard_error_is_in_the_message() -> None:
    def talk() -> None:
        with dialogue(["sh", "-c", "echo the database is locked >&2; exit 1"]) as process:
            process.stdout.read(1)
            raise EOFError("it ended")

    with pytest.raises(ProcessFailed, match="the database is locked"):
        talk()


def test_a_process_that_would_go_on_for_ever_is_ended() -> None:
    with dialogue(["sh", "-c", "echo $$; exec sleep 1000"]) as process:
        pid = int(process.stdout.readline())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
