"""Readers and reconstructions of run folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.runs import is_run, load_run
from taskct.geometry import Grid
from taskct.geometry.beam_config import beam_from_config
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.recon.learned import load_reconstructor
from taskct.task.frozen import FrozenTask
from taskct.task.readers import load_reader

Reconstruct = Callable[[Tensor, Projector], Tensor]


@dataclass(frozen=True, eq=False)
class TrainedRuns:
    """What the run folders hold: readers, methods in the order of the tables, the scanner and the doses."""

    readers: Sequence[FrozenTask]
    methods: Mapping[str, Reconstruct]
    A: Projector
    doses: Sequence[Dose]


def load_runs(runs: Path, *, models: Sequence[str] = (), readers: Sequence[str] = ()) -> TrainedRuns:
    """Readers of full dose and reconstructions from run folders; all reconstructions must share scanner and grid."""
    found = {path.name: load_run(path) for path in sorted(runs.iterdir()) if path.is_dir() and is_run(path)}
    done = {name: run for name, run in found.items() if run.path("weights.safetensors").exists()}
    named_readers = readers or [n for n, r in done.items() if r.config.get("reads") == "full dose"]
    named = models or [n for n, r in done.items() if "model" in r.config and "-base-" not in n]
    missing = [n for n in (*named_readers, *named) if n not in done]
    if missing or not named_readers or not named:
        raise InputError(f"{runs}: expected finished runs of readers and models, missing {missing or 'all'}; has {list(done)}")
    config = done[named[0]].config
    for name in named[1:]:
        if (done[name].config["beam"], done[name].config["grid"]) != (config["beam"], config["grid"]):
            raise InputError(f"{runs / name}: was trained for another scanner or grid than {named[0]}")
    A = Projector(Grid(tuple(config["grid"]["shape"]), tuple(config["grid"]["spacing_mm"])), beam_from_config(config["beam"]))
    full = Dose(config["dose"]["photons"], electronic_std=config["dose"]["electronic_std"])
    fractions = sorted({config["dose"]["highest"], config["dose"]["lowest"]}, reverse=True)
    methods: dict[str, Reconstruct] = {"FBP, Hann": partial(fbp, window="hann")}
    methods |= {name: load_reconstructor(done[name]) for name in named}
    return TrainedRuns([load_reader(done[n]) for n in named_readers], methods, A, [full.at(f) for f in fractions])
