"""What a training says while it runs: lines in metrics.jsonl, and TensorBoard when asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from taskct.core.errors import ConfigError
from taskct.core.runs import Run
from taskct.training.processes import mean_where_known, names_of_all, world


class MetricsLog:
    """Means of what was logged since the last line, into the run (and TensorBoard)."""

    def __init__(self, run: Run, *, lead: bool, tensorboard: bool, from_step: int) -> None:
        self.run, self.lead = run, lead
        self._start()
        self._writer: Any = None
        if lead and tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ConfigError(
                    "TensorBoard is not installed; pip install 'taskct[log]', or leave tensorboard off"
                ) from error
            self._writer = SummaryWriter(str(run.folder))
        if lead:
            _forget_after(run, from_step)

    def _start(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.began = time.perf_counter()

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Values of a step that was taken; what a step does not tell is left out of the mean."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + value.detach().float().cpu()
            self.counts[name] = self.counts.get(name, 0) + 1

    def skip(self, step: int, images: Sequence[str]) -> None:
        """A step without a finite loss."""
        if self.lead:
            self.run.append(kind="skipped", step=step + 1, images=list(images))

    def write(self, step: int, *, images: int, **more: float) -> None:
        """A line of means over the steps since the last one; `images` is the size of this process's batches."""
        names = names_of_all(self.sums)
        if not names:
            return self._start()
        values = mean_where_known({n: total / self.counts[n] for n, total in self.sums.items()}, names)
        rate = self.counts.get("total", 0) * images * world() / (time.perf_counter() - self.began)
        self._append("train", step, {**values, **more, "images_per_s": round(rate, 2)})
        return self._start()

    def validation(self, step: int, scores: Mapping[str, float]) -> None:
        """A line of validation scores."""
        self._append("validation", step, scores)

    def _append(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        if self.lead:
            self.run.append(kind=kind, step=step, **values)
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Write metrics.csv."""
        if self.lead:
            self.run.write_metrics_csv()
        if self._writer is not None:
            self._writer.close()


def _forget_after(run: Run, step: int) -> None:
    """Drop the lines that a killed run wrote after its last state: they will be written again."""
    lines = run.metrics()
    kept = [line for line in lines if line.get("step", 0) <= step]
    if len(kept) < len(lines):
        run.write_text("metrics.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept), overwrite=True)


def best_validation(run: Run) -> tuple[dict[str, Any], int] | None:
    """The line of the best validation of a run by its total, and how many have one that is finite; None without one."""
    lines = [line for line in run.metrics() if line["kind"] == "validation" and line.get("total") is not None]
    return (min(lines, key=lambda line: line["total"]), len(lines)) if lines else None
