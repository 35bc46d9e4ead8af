from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Callable, Sequence

import pytest

from nix_remote import events
from nix_remote.errors import OutputTooLong, ServerEndedSession, TransferStalled
from nix_remote.server.remote_exec import MAX_OUTPUT, Finished, RemoteExec
from nix_remote.ssh.memory import MemoryCommand, pair
from nix_remote.ssh.transport import Channel, ChannelTimeout


class Server:
    """A `Transport` to programs that are Python functions."""

    description = "memory"
    opens_in_order = True

    def __init__(self, program: Callable[[MemoryCommand], None]) -> None:
        self._program = program
        self.commands: list[Sequence[str]] = []

    def open(self, command: Sequence[str]) -> Channel:
        self.commands.append(command)
        channel, program = pair()
        threading.Thread(target=self._program, args=(program,), daemon=True).start()
        return channel

    def close(self) -> None:
        pass


def remote_exec(
    server: Server, listener: events.Listener = events.ignore, stall_timeout: float = 30
) -> RemoteExec:
    return RemoteExec(server, alias="server", stall_timeout=stall_timeout, listener=listener)


def all_input(command: MemoryCommand) -> bytes:
    taken = bytearray()
    while True:
        try:
            data = command.read(1000)
        except ChannelTimeout:
            continue
        if not data:
            return bytes(taken)
        taken += data


def test_a_program_gets_its_input_and_gives_its_output() -> None:
    def count(command: MemoryCommand) -> None:
        command.write(f"{len(all_input(command))} \x1b[31mbytes\x1b[0m".encode())
        command.exit(3, " a warning \n")

    done = remote_exec(Server(count)).run(("wc", "-c"), stdin=bytes(300_000), waiting_for="a count")
    assert done == Finished(3, "300000 bytes", "a warning")


def test_a_program_without_an_exit_status_has_not_ended_but_was_ended() -> None:
    def killed(command: MemoryCommand) -> None:
        command.write(b"0 store paths deleted")
        command.exit(0)
        command.exit_status = None

    with pytest.raises(ServerEndedSession, match="we waited for a count"):
        remote_exec(Server(killed)).run(("wc",), waiting_for="a count")


def test_a_program_that_says_nothing_is_not_waited_for_for_ever() -> None:
    server = Server(lambda command: None)
    with pytest.raises(TransferStalled) as stalled:
        remote_exec(server, stall_timeout=0.1).run(("sleep",), waiting_for="a count")
    assert "a count" in stalled.value.why


def test_output_that_is_not_read_to_its_end_is_an_error() -> None:
    def endless(command: MemoryCommand) -> None:
        with suppress(BrokenPipeError):
            while True:
                command.write(bytes(64 * 1024))

    with pytest.raises(OutputTooLong, match=f"more than {MAX_OUTPUT} bytes"):
        remote_exec(Server(endless)).run(("yes",), waiting_for="a count")


def echo(command: MemoryCommand) -> None:
    """Prints its input as it comes, and stops reading while nobody reads that."""
    while True:
        try:
            data = command.read(1000)
        except ChannelTimeout:
            continue
        if not data:
            command.exit(0)
            return
        command.write(data)


def test_a_program_may_print_before_it_has_read_all_its_input() -> None:
    given = b"".join(b"%d\n" % number for number in range(100_000))
    done = remote_exec(Server(echo), stall_timeout=5).run(("cat",), stdin=given, waiting_for="it")
    assert done.stdout.encode() == given
    lines: list[str] = []
    done = remote_exec(Server(echo), stall_timeout=5).run_lines(
        ("cat",), lines.append, at_most=100_000, stdin=given, waiting_for="it"
    )
    assert lines == given.decode().splitlines()
    assert done == Finished(0, "", "")


def test_lines_are_handed_on_as_they_come_and_extend_the_wait() -> None:
    def slow(command: MemoryCommand) -> None:
        for number in range(6):
            command.write(f"{number}\r\nno".encode())
            handed_on.acquire(timeout=10)
            command.write(b"w\n")
            handed_on.acquire(timeout=10)
            time.sleep(0.1)  # all of them together are longer than the bound
        command.write(b"the rest")
        command.exit(3, "said")

    handed_on = threading.Semaphore(0)
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        handed_on.release()

    done = remote_exec(Server(slow), stall_timeout=0.55).run_lines(
        ("slow",), take, at_most=12, waiting_for="it"
    )
    assert lines == [line for number in range(6) for line in (str(number), "now")]
    assert done == Finished(3, "the rest", "said")


@pytest.mark.parametrize("line", [b"again\n", bytes(1000)], ids=["lines", "one-line"])
def test_lines_that_never_end_are_an_error(line: bytes) -> None:
    def endless(command: MemoryCommand) -> None:
        with suppress(BrokenPipeError):
            while True:
                command.write(line)

    with pytest.raises(OutputTooLong):
        remote_exec(Server(endless)).run_lines(
            ("yes",), lambda taken: None, at_most=1000, waiting_for="it"
        )


def test_the_usual_places_are_searched_only_when_asked_for() -> None:
    server = Server(lambda command: command.exit(0))
    under_test = remote_exec(server)
    under_test.run(("nix-store", "--version"), waiting_for="it")
    under_test.search_usual_places()
    under_test.run(("nix-store", "--version"), waiting_for="it")
    assert server.commands[0] == ("nix-store", "--version")
    assert server.commands[1][:2] == ("sh", "-c")
    assert server.commands[1][-2:] == ("nix-store", "--version")
    assert "/run/current-system/sw/bin" in server.commands[1][2]
