"""When a training ends before its last step: at a plateau, or because somebody asks."""

from __future__ import annotations

import math
import signal
import sys
import threading
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from taskct.training.processes import any_rank, world


@dataclass
class Plateau:
    """Remembers the best score; `reached` after `patience` validations without a relative gain of `least_gain` (0: never).

    >>> plateau = Plateau(patience=2, least_gain=0.01)
    >>> [plateau.improves(score, step) for step, score in enumerate((1.0, 0.9, 0.895, 0.894))], plateau.reached
    ([True, True, True, True], True)
    """

    patience: int
    least_gain: float
    best: float = math.inf
    best_step: int = 0
    mark: float = math.inf
    waited: int = 0

    def improves(self, score: float, step: int) -> bool:
        """Whether the score is the best so far; a gain too small to count still is one, but does not start the wait anew."""
        if score < self.mark - self.least_gain * abs(self.mark if math.isfinite(self.mark) else 0.0):
            self.mark, self.waited = score, 0
        else:
            self.waited += 1
        if score < self.best:
            self.best, self.best_step = score, step
            return True
        return False

    @property
    def reached(self) -> bool:
        """Whether to stop."""
        return self.patience > 0 and self.waited >= self.patience


class StopRequest:
    """While it holds, the first SIGINT or SIGTERM only asks: the loop ends its step, saves, and then obeys.

    A second SIGINT cuts at once. Outside the main thread signals are left alone.
    """

    def __init__(self) -> None:
        self._number = 0
        self._old: dict[int, Any] = {}

    @property
    def came(self) -> bool:
        """Whether somebody asked, in any of the processes."""
        if world() > 1 and any_rank(self._number != 0):
            self._number = self._number or signal.SIGTERM
        return self._number != 0

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._number and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._number = number

    def obey(self) -> None:
        """End as the signal would have ended, if one came."""
        if self._number == signal.SIGINT:
            raise KeyboardInterrupt
        if self._number == signal.SIGTERM:
            sys.exit(128 + signal.SIGTERM)
