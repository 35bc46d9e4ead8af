import os

import pytest

from nix_remote.processes import ProcessFailed, process


def test_a_process_is_written_to_and_read_from() -> None:
    with process(["cat"]) as cat:
        cat.write(b"hello")
        assert cat.read(5) == b"hello"


def test_the_error_names_a_program_that_does_not_exist() -> None:
    with (
        pytest.raises(ProcessFailed, match=r"no-such-program: No such file"),
        process(["no-such-program"]),
    ):
        pass


def test_what_a_process_wrote_to_standard_error_is_in_the_message() -> None:
    def talk() -> None:
        with process(["sh", "-c", "echo the database is locked >&2; exit 1"]) as shell:
            shell.read(1)
            raise EOFError("it ended")

    with pytest.raises(ProcessFailed, match="the database is locked"):
        talk()


def test_a_process_that_would_go_on_for_ever_is_ended() -> None:
    with process(["sh", "-c", "echo $$; exec sleep 1000"]) as shell:
        pid = int(shell.read(100))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
