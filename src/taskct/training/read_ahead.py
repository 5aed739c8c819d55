"""Images of the next steps are read while the network works on this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from taskct.data.images import ImageSet
from taskct.data.samples import ImageBatch

DEPTH = 4  # steps that are read ahead
_THREADS = 2


class ReadAhead:
    """`take(step)` -> the images `numbers_of(step)` of a set. What is read depends on the step only, whoever reads it.

    Images in memory are taken when they are asked for. Those that are streamed are read ahead, `depth` steps at most, by two
    threads of this process, or by `workers` processes where making an image is work for Python (painted patients). Memory is
    that of `depth` batches, whatever the size of the set.
    """

    def __init__(
        self,
        images: ImageSet,
        numbers_of: Callable[[int], Tensor],
        *,
        neighbours: int = 0,
        workers: int = 0,
        depth: int = DEPTH,
    ) -> None:
        self.images, self.numbers_of, self.neighbours = images, numbers_of, neighbours
        self.workers, self.depth = workers, depth
        self._coming: dict[int, Future[ImageBatch]] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._processes: tuple[int, Iterator[ImageBatch]] | None = None

    def take(self, step: int) -> ImageBatch:
        """The images of a step."""
        if self.images.in_memory:
            return self.images.take(self.numbers_of(step), neighbours=self.neighbours)
        return self._from_processes(step) if self.workers else self._from_threads(step)

    def _from_threads(self, step: int) -> ImageBatch:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="taskct-read")
        self._coming = {k: future for k, future in self._coming.items() if step <= k <= step + self.depth}
        for k in range(step, step + self.depth + 1):
            if k not in self._coming:
                read = self._threads.submit(self.images.take, self.numbers_of(k), neighbours=self.neighbours)
                self._coming[k] = read
        return self._coming.pop(step).result()

    def _from_processes(self, step: int) -> ImageBatch:
        if self._processes is None or self._processes[0] != step:
            steps = DataLoader(
                _Steps(self.images, self.neighbours),
                batch_size=None,
                sampler=_Numbers(self.numbers_of, step),
                num_workers=self.workers,
                prefetch_factor=max(1, self.depth // self.workers),
                collate_fn=_as_it_is,
            )
            self._processes = step, iter(steps)
        batch = next(self._processes[1])
        self._processes = step + 1, self._processes[1]
        return batch


class _Steps(Dataset[ImageBatch]):
    """Batches by the numbers of their images."""

    def __init__(self, images: ImageSet, neighbours: int) -> None:
        self.images, self.neighbours = images, neighbours

    def __getitem__(self, numbers: Tensor) -> ImageBatch:
        return self.images.take(numbers, neighbours=self.neighbours)


class _Numbers:
    """The numbers of each step from `first` on, without end."""

    def __init__(self, numbers_of: Callable[[int], Tensor], first: int) -> None:
        self.numbers_of, self.first = numbers_of, first

    def __iter__(self) -> Iterator[Tensor]:
        step = self.first
        while True:
            yield self.numbers_of(step)
            step += 1


def _as_it_is(batch: Any) -> Any:
    return batch
