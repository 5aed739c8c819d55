"""What a training begins with: its run folder, the weights of another run, the memory order of its networks."""

from __future__ import annotations

import os
import tomllib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from taskct.core.errors import InputError, OutputExistsError
from taskct.core.files import refuse_existing
from taskct.core.runs import Run, is_run, load_run
from taskct.core.toml import to_toml
from taskct.data.images import ImageSet
from taskct.nets.weights import load_weights
from taskct.recon.learned.seen_images import SeenImages
from taskct.training.checkpoint import require_same_settings
from taskct.training.players import WEIGHTS
from taskct.training.processes import rank, wait_for_all

_AT_ONCE = 64  # images in HU beside the set
_FINGERPRINT = "data.fingerprint"
_PIXELS = "grid.spacing_mm"
_NOT_COMPARED = ("schema", _FINGERPRINT, "data.streamed_from", "task.name")  # places, which may be moved or spelt otherwise


def open_training(run: Run | str | os.PathLike[str], config: Mapping[str, Any]) -> Run:
    """The run to write: one that is given or exists, else a new folder with `config`.

    ConfigError for one that began with another config: it would keep its old weights, or go on from them, under a config that
    is not theirs. Images may differ in their last bits on another machine, so other ones of the same number are warned of.
    """
    if isinstance(run, Run):
        return run
    wanted = _plain(config)
    if rank() == 0 and not is_run(run):
        Run.create(run, wanted)
    wait_for_all()
    found = load_run(run)
    then, now = (_flat(c) for c in (found.config, tomllib.loads(to_toml(wanted))))
    if _PIXELS not in then:
        now.pop(_PIXELS, None)  # readers' runs did not state it at first
    require_same_settings(
        found, *({k.removeprefix("training."): v for k, v in c.items() if k not in _NOT_COMPARED} for c in (then, now))
    )
    if rank() == 0 and then.get(_FINGERPRINT) != now.get(_FINGERPRINT):
        warnings.warn(
            f"{found.folder}: the images are not those that it began with, bit by bit; if more has changed than the machine, "
            "train into another folder",
            stacklevel=3,
        )
    return found


def refuse_training_folder(run: str | os.PathLike[str], planned: Mapping[str, Any] | None = None) -> None:
    """Refuse, before any work, a folder that is neither new nor that of a training: OutputExistsError.

    ConfigError where `planned`, tables of the config by their names, has another value than the run that is there.
    `open_training` compares the whole, but needs the images for it; what only one of the two has is left to it.
    """
    folder = Path(run)
    if is_run(folder):
        found = load_run(folder)
        if "training" not in found.config:
            raise OutputExistsError(f"{folder}: is a run of another kind than a training; choose another name")
        then, now = (_flat(c) for c in (found.config, tomllib.loads(to_toml(_plain(planned or {})))))
        require_same_settings(
            found,
            *({k.removeprefix("training."): c[k] for k in now if k in then and k not in _NOT_COMPARED} for c in (then, now)),
        )
        return
    refuse_existing(folder, overwrite=False, folder=True)


def note_seen_images(run: Run, images: ImageSet, warm_start: Run | str | os.PathLike[str] | None = None) -> None:
    """Write into the run which images it learns from, and those of the run whose weights it begins with.

    A streamed set is not read for it.
    """
    if rank() != 0:
        return
    seen = SeenImages() if warm_start is None else SeenImages.read(_run_of(warm_start))
    if images.in_memory:
        seen = seen.and_those_of(SeenImages.of(images.patient_ids, map(images.hu, images.mu.split(_AT_ONCE))))
    if seen.patients:
        seen.write(run)


def begin_with(model: nn.Module, warm_start: Run | str | os.PathLike[str]) -> None:
    """Give a model the weights of a finished run."""
    run = _run_of(warm_start)
    if not run.path(WEIGHTS).exists():
        raise InputError(f"{run.folder}: holds no weights yet ({WEIGHTS}); let its training end first")
    load_weights(model, run.load_tensors(WEIGHTS)[0], what=str(Path(run.folder)))


def to_channels_last(module: nn.Module) -> None:
    """2D convolutions in the memory order that CPUs and GPUs are fastest with.

    3D networks are left as they are, and so are networks with dilated convolutions: in this order their weights get gradients
    in bfloat16 that are not finite on CPUs with AVX512-BF16 (torch 2.13, seen with 28 channels).
    """
    dilated = any(max(m.dilation) > 1 for m in module.modules() if isinstance(m, nn.Conv2d))
    if not dilated and all(p.ndim < 5 for p in module.parameters()):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _run_of(place: Run | str | os.PathLike[str]) -> Run:
    return place if isinstance(place, Run) else load_run(place)


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Tables within tables as one, {"a": {"b": 1}} -> {"a.b": 1}, numbers to the six digits that all machines agree on."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": _rounded(value)}
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _plain(values: Any) -> Any:
    from dataclasses import asdict, is_dataclass

    if is_dataclass(values) and not isinstance(values, type):
        values = asdict(values)
    if isinstance(values, Mapping):
        return {k: _plain(v) for k, v in values.items() if v is not None}
    return [_plain(v) for v in values] if isinstance(values, list | tuple) else values
