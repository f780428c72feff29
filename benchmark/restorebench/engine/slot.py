"""A slot for one worker process, and the state of its worker."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from restorebench.engine.child import Child
from restorebench.engine.queues import Work
from restorebench.worker.messages import Answer, Detected, Failed, Greeting, Ready, Recorded, Refused, fits


class State(Enum):
    """The state of a slot's worker."""

    ABSENT = auto()
    STARTING = auto()
    IDLE = auto()
    LOADING = auto()
    WORKING = auto()


_ANSWERS: dict[State, tuple[type, ...]] = {
    State.ABSENT: (),
    State.STARTING: (Greeting,),
    State.IDLE: (),
    State.LOADING: (Ready, Failed, Refused),
    State.WORKING: (Recorded, Detected, Failed, Refused),
}


@dataclass
class Slot:
    """A slot for one worker: its process, the loaded cell and the current work.

    ahead: more work that its worker has been sent, in order. took: seconds of its last work. first: its next work
    is the first of a loaded cell.
    """

    number: int
    child: Child | None = None
    state: State = State.ABSENT
    sources: tuple[str, ...] = ()
    loaded: str = ""
    work: Work | None = None
    ahead: deque[Work] = field(default_factory=deque)
    deadline: float = 0.0
    began: float = 0.0
    took: float = math.inf
    first: bool = False
    first_mib: float = 0.0
    starts_failed: int = 0

    def expects(self, answer: Answer) -> bool:
        """Tell whether an answer fits the worker's last request; a plugin may have written into its pipe."""
        if not isinstance(answer, _ANSWERS[self.state]):
            return False
        return not isinstance(answer, Recorded | Detected) or (
            self.work is not None and fits(answer, self.work.job)
        )

    def advance(self) -> Work | None:
        """Note that the worker is through with its work; return what it was sent ahead and goes on with."""
        self.work = self.ahead.popleft() if self.ahead else None
        self.state = State.IDLE if self.work is None else State.WORKING
        return self.work

    def vacate(self) -> None:
        """Clear the slot after its worker has ended."""
        self.child, self.work, self.state, self.loaded, self.took = None, None, State.ABSENT, "", math.inf
        self.ahead.clear()
