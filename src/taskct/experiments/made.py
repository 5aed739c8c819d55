"""Typed handles: a step says what it makes, and later steps take that in place of a folder's name.

    reader = plan.step("reader-unet", call(train_reader, images=images), load_reader, ...)     # Made[FrozenTask]
    plan.step("arm", call(train_arm, images=images, reader=reader), load_reconstructor, ...)

`call` has the parameters of the function that it calls, so a type checker refuses a handle of something else. The handles
among the arguments of a call, in lists, tuples and dicts too, are what its step needs: nothing has to be listed a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from taskct.core.errors import InputError
from taskct.experiments.step_record import read_record

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")


@dataclass(frozen=True)
class Made(Generic[T_co]):
    """What the step `name` makes: `read(folder)` loads it.

    While steps are planned a handle has no `root`; a step that runs gets its handles with the experiment's folder.
    """

    name: str
    read: Callable[[Path], T_co]
    root: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder of the step; InputError while the experiment is only planned."""
        if self.root is None:
            raise InputError(f"what the step {self.name!r} makes can be read by a step that takes its handle, not before")
        return self.root / self.name

    def load(self) -> T_co:
        """What the step made."""
        return self.read(self.folder)

    def read_as(self, read: Callable[[Path], T]) -> Made[T]:
        """The same step, of whose folder something else is read."""
        return Made(self.name, read, self.root)

    @property
    def done(self) -> bool:
        """Whether the step is done."""
        return bool(self._record.get("done"))

    @property
    def cpu_s(self) -> float:
        """CPU seconds that the step took since it was last started; 0 while it is not done."""
        return float(self._record.get("cpu_s", 0.0))

    @property
    def _record(self) -> dict[str, Any]:
        return read_record(self.folder.parent, self.name)


@dataclass(frozen=True)
class Call:
    """A function of a folder, with its other arguments: `run(root, name)` calls it on the folder `root`/`name`."""

    work: Callable[..., object]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the steps whose handles are among the arguments, each once."""
        return tuple(dict.fromkeys(handle.name for handle in _handles((self.arguments, self.options))))

    def run(self, root: Path, name: str) -> None:
        """Call the function, its handles bound to the folder `root`."""
        self.work(root / name, *_bound(self.arguments, root), **_bound(self.options, root))

    def options_at(self, root: Path) -> dict[str, Any]:
        """The arguments by name, their handles bound to the folder `root`."""
        return dict(_bound(self.options, root))


def call(work: Callable[Concatenate[Path, P], object], /, *arguments: P.args, **options: P.kwargs) -> Call:
    """A call of `work` on a folder that is known later: its other arguments, as `work` itself takes them.

    >>> def write(folder: Path, text: str) -> None: ...
    >>> call(write, text="hello").needs
    ()
    """
    return Call(work, arguments, options)


def _handles(value: Any) -> Iterator[Made[Any]]:
    if isinstance(value, Made):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _handles(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _handles(one)


def _bound(value: Any, root: Path) -> Any:
    """The value, each handle in it with the experiment's folder."""
    if isinstance(value, Made):
        return replace(value, root=root)
    if isinstance(value, Mapping):
        return {k: _bound(v, root) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named tuple
        return type(value)(*(_bound(v, root) for v in value))
    if isinstance(value, list | tuple):
        return type(value)(_bound(v, root) for v in value)
    return value
