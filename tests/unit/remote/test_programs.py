from __future__ import annotations

import threading
from typing import Callable, Sequence

import pytest

from nix_remote import events
from nix_remote.errors import ServerEndedSession, TransferStalled
from nix_remote.remote.programs import Finished, Programs
from nix_remote.ssh.memory import MemoryCommand, pair
from nix_remote.ssh.transport import Channel, ChannelTimeout


class Server:
    """A `Transport` to programs that are Python functions."""

    description = "memory"

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


def programs(
    server: Server, listener: events.Listener = events.ignore, stall_timeout: float = 30
) -> Programs:
    return Programs(server, alias="server", stall_timeout=stall_timeout, listener=listener)


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

    done = programs(Server(count)).run(("wc", "-c"), stdin=bytes(300_000), waiting_for="a count")
    assert done == Finished(3, "300000 bytes", "a warning")


def test_a_program_without_an_exit_status_has_not_ended_but_was_ended() -> None:
    def killed(command: MemoryCommand) -> None:
        command.write(b"0 store paths deleted")
        command.exit(0)
        command.exit_status = None

    with pytest.raises(ServerEndedSession, match="we waited for a count"):
        programs(Server(killed)).run(("wc",), waiting_for="a count")


def test_a_program_that_says_nothing_is_not_waited_for_for_ever() -> None:
    server = Server(lambda command: None)
    with pytest.raises(TransferStalled) as stalled:
        programs(server, stall_timeout=0.1).run(("sleep",), waiting_for="a count")
    assert "a count" in stalled.value.why


def test_the_usual_places_are_searched_only_when_asked_for() -> None:
    server = Server(lambda command: command.exit(0))
    under_test = programs(server)
    under_test.run(("nix-store", "--version"), waiting_for="it")
    under_test.search_usual_places()
    under_test.run(("nix-store", "--version"), waiting_for="it")
    assert server.commands[0] == ("nix-store", "--version")
    assert server.commands[1][:2] == ("sh", "-c")
    assert server.commands[1][-2:] == ("nix-store", "--version")
    assert "/run/current-system/sw/bin" in server.commands[1][2]
