"""A run as a model to hand on: a folder of three files, or one file of weights with config and card in its header."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from taskct.core.config import SCHEMA
from taskct.core.errors import InputError, OutputExistsError
from taskct.core.files import atomic_folder, atomic_path, refuse_others, refuse_sources
from taskct.core.runs import Run, is_run
from taskct.core.safetensors_files import pack_tensors
from taskct.core.toml import to_toml
from taskct.models.model_card import CARD, Card
from taskct.models.model_folder import CONFIG, SEEN, WEIGHTS, open_model, sha256_of


def pack_model(
    source: Run | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    card: Card,
    half: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write the network of a run, with `card`, into the folder `out`, or into the one file `out` (.safetensors).

    `half` keeps kernels in half precision, and biases and statistics, which are few, as they are; measure first that the
    figures stay the same. The hashes of config and weights are
    filled in. Raises InputError for weights that half precision cannot hold and for a card of another kind of network.
    """
    model = open_model(source)
    if card.kind != model.kind:
        raise InputError(
            f"{model.where}: is a network for {model.kind}, and the card is one for {card.kind}; give its own card"
        )
    tensors = model.tensors()
    if half:
        tensors = {name: t.half() if t.is_floating_point() and t.ndim > 1 else t for name, t in tensors.items()}
        broken = [name for name, t in tensors.items() if t.is_floating_point() and not bool(torch.isfinite(t).all())]
        if broken:
            raise InputError(f"{model.where}: half precision cannot hold its weights ({broken[0]}, ...); leave out half=True")
    config = to_toml({"schema": SCHEMA, **{k: v for k, v in model.config.items() if k != "schema"}})
    target = Path(out)
    refuse_sources(target, [source.folder if isinstance(source, Run) else source, model.weights])
    if target.suffix == ".safetensors":
        held = replace(card, config_sha256="", weights_sha256="")  # a file cannot hold its own hash
        packed = pack_tensors(tensors, metadata={"taskct_config": config, "taskct_card": held.text()})
        with atomic_path(target, overwrite=overwrite) as part:
            part.write_bytes(packed)
        return target
    if target.exists() and overwrite and not is_run(target):
        raise OutputExistsError(
            f"{target}: exists and is not the folder of a network, so it is not overwritten; choose another name"
        )
    refuse_others(target, (CONFIG, WEIGHTS, CARD, SEEN))
    with atomic_folder(target, overwrite=overwrite) as folder:
        (folder / CONFIG).write_text(config, encoding="utf-8")
        (folder / WEIGHTS).write_bytes(pack_tensors(tensors))
        whole = replace(card, config_sha256=sha256_of(folder / CONFIG), weights_sha256=sha256_of(folder / WEIGHTS))
        (folder / CARD).write_text(whole.text(), encoding="utf-8")
    return target
