"""The copier, held before one of its steps. Runs on a workstation.

    python -m tests.races.held_copier STEP MUTANT ARGUMENTS...

Creates the file `REACHED` when everything before the step has been answered, and continues when
the file `RELEASED` exists. It is held once; later rounds are not. STEP `none` holds nothing,
MUTANT `none` changes nothing.
"""

from __future__ import annotations

import concurrent.futures
import enum
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Callable, Sequence

from nix_remote.cli.main import main
from nix_remote.protocol import serve, worker
from nix_remote.server.remote_exec import Finished, RemoteExec
from nix_remote.server.session import Session
from nix_remote.server.stores.base import Secured
from nix_remote.server.stores.serve import ServeStore
from nix_remote.server.stores.worker import WorkerStore
from tests.races import mutants

FOLDER = Path("/run/race")
REACHED = FOLDER / "reached"
RELEASED = FOLDER / "released"


class Step(enum.Enum):
    """What the copier is about to do when it is held."""

    SEND = "send"
    """It knows what is valid, and has temporary roots."""
    ROOTS = "roots"
    BARRIER = "barrier"
    LOOK = "look"
    END = "end"
    """Nothing but to end its session."""


class _Hold:
    def __init__(self, step: str) -> None:
        self._step = step
        self._lock = threading.Lock()
        self._securing = False
        self._answers: list[Future[Any]] = []

    def before(self, step: Step) -> None:
        with self._lock:
            if step.value != self._step:
                return
            self._step = "none"
            REACHED.touch()
            while not RELEASED.exists():
                time.sleep(0.01)

    def wrap(self, session: Session[Any], submit: Callable[..., Future[Any]]) -> None:
        def held_submit(request: Any, **options: Any) -> Future[Any]:
            step = _STEPS.get(type(request))
            if self._securing and step is not None and step.value == self._step:
                session.flush()
                concurrent.futures.wait(self._answers)
                self.before(step)
            answer = submit(request, **options)
            self._answers.append(answer)
            return answer

        session.submit = held_submit  # type: ignore[method-assign]

    def install(self) -> None:
        start: Any = Session.__init__
        run: Any = RemoteExec.run

        def init(session: Any, *args: Any, **options: Any) -> None:
            start(session, *args, **options)
            self.wrap(session, session.submit)

        def held_run(remote_exec: Any, command: Sequence[str], **options: Any) -> Finished:
            if self._securing and "--realise" in command:
                self.before(Step.ROOTS)
            if self._securing and "--gc" in command and "--max-freed" in command:
                self.before(Step.BARRIER)
            finished: Finished = run(remote_exec, command, **options)
            return finished

        Session.__init__ = init  # type: ignore[assignment,method-assign]
        RemoteExec.run = held_run  # type: ignore[assignment,method-assign]
        for store in (WorkerStore, ServeStore):
            self._install(store)

    def _install(self, store: Any) -> None:
        push, secure = store.push, store.secure

        def held_push(itself: Any, paths: Any) -> None:
            itself._wait_for_locks()
            self.before(Step.SEND)
            push(itself, paths)

        def held_secure(itself: Any, paths: Any, roots: Any) -> Secured:
            self._securing = True
            try:
                secured: Secured = secure(itself, paths, roots)
            finally:
                self._securing = False
            if secured.valid >= set(paths):
                self.before(Step.END)
            return secured

        store.push, store.secure = held_push, held_secure


_STEPS = {
    worker.AddPermRoot: Step.ROOTS,
    worker.CollectGarbage: Step.BARRIER,
    worker.QueryValidPaths: Step.LOOK,
    serve.QueryValidPaths: Step.LOOK,
}

if __name__ == "__main__":
    step, mutant, *arguments = sys.argv[1:]
    # Below the hold: a step that a mutant leaves out is not reached.
    mutants.install(mutant)
    _Hold(step).install()
    sys.exit(main(arguments))
