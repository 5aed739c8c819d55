"""A trained network by its name or path: of the package, a run folder, a folder of somebody else, or one file of weights.

    config.toml           what rebuilds the network ([model], [reader] or [dose_module]), and the scan it was trained for
    weights.safetensors   its weights
    card.toml             what it is for; a run folder has none, and its provenance.json says how it was made
    seen_images.safetensors   which images it learnt from, where that was recorded

One file of weights holds the same: config and card as text in its header (`pack_model`); without them the config.toml beside
it counts. Every function that takes a trained network reads it through `open_model`.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from taskct.core.config import SCHEMA
from taskct.core.errors import ConfigError, FileFormatError, InputError, UnsupportedDataError, unknown_name
from taskct.core.files import existing_path
from taskct.core.notebook_html import fact_card
from taskct.core.open_files import parsing, read_bytes
from taskct.core.runs import Run, is_run, load_run
from taskct.core.safetensors_files import read_safetensors, read_safetensors_text
from taskct.models.model_card import CARD, Card, card_of, read_card
from taskct.models.package_models import shipped_models

WEIGHTS, CONFIG, PROVENANCE = "weights.safetensors", "config.toml", "provenance.json"
SEEN = "seen_images.safetensors"  # `recon.learned.SeenImages` reads it
Source = Run | str | os.PathLike[str]
_TABLES = {"dose_module": "dose", "reader": "reader", "model": "reconstruction", "task": "task", "chest": "task"}
_FOREIGN = (".pt", ".pth", ".ckpt", ".bin", ".onnx", ".h5", ".npz", ".pkl", ".keras")
_MOST_NAMED = 6


class NoCardWarning(UserWarning):
    """A network whose maker did not say what it is for."""


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A trained network that was opened; nothing is built yet, and the weights are read by `tensors`.

    `name` is that of its folder or file, `where` begins messages, `config` is what it was trained with.
    """

    name: str
    where: Path
    config: Mapping[str, Any]
    card: Card | None
    weights: Path

    @property
    def kind(self) -> str:
        """reconstruction, reader, dose or task; "" for a training whose network taskct does not know."""
        return kind_of_config(self.config)

    def __repr__(self) -> str:
        return f"SavedModel({self.name!r}: {self.card.title if self.card else self.kind or 'a training'})"

    def _repr_html_(self) -> str:
        facts = {"kind": self.kind, "card": "none", "folder": self.where}
        return self.card._repr_html_() if self.card else fact_card(self.name, facts)

    def table(self, name: str) -> Mapping[str, Any]:
        """A table of the config, empty where it has none; ConfigError for something else by that name."""
        found = self.config.get(name, {})
        if not isinstance(found, Mapping):
            raise ConfigError(f"{self.where}: its config has {name} = {found!r}, expected a table [{name}]")
        return found

    @contextmanager
    def naming_errors(self) -> Iterator[None]:
        """What is wrong with a config that says how to build a network is said with the network's place."""
        try:
            yield
        except InputError as error:
            text = str(error)
            raise type(error)(text if text.startswith(str(self.where)) else f"{self.where}: {text}") from error

    def tensors(self) -> dict[str, Tensor]:
        """The weights; InputError before the training ended, FileFormatError where they are damaged or not the card's."""
        if not self.weights.exists():
            raise InputError(f"{self.where}: holds no weights yet ({WEIGHTS}); let its training end first")
        if self.card is not None and self.card.weights_sha256 and sha256_of(self.weights) != self.card.weights_sha256:
            raise FileFormatError(
                f"{self.weights}: not the weights that the card describes (SHA-256 differs); take both from one place"
            )
        return read_safetensors(self.weights, what="weights")[0]


def open_model(source: Source, *, own: bool = False) -> SavedModel:
    """Open a network by the NAME of one that comes with the package, or the path of a run, a folder or a file of weights.

    A word that is both a name and a folder here is refused: write ./NAME for the folder. A network without a card and the
    record of its training is opened with a NoCardWarning. `own`: the caller has the network itself and wants its weights, so
    a config that says how to build it is not needed.

    Raises InputError for nothing there, a training without an end, an experiment of several networks; UnsupportedDataError for
    weights of another format; ConfigError, UnitsError and FileFormatError for a card or config that does not fit.
    """
    if isinstance(source, Run):
        return _of_run(source, own)
    shipped = shipped_models()
    if isinstance(source, str) and source in shipped:
        if _exists(source):
            raise InputError(
                f"{source}: a network of the package and a path here are both called so; write ./{source} for the path, or "
                "run this elsewhere for the network"
            )
        return _of_run(load_run(shipped[source]), own)
    if isinstance(source, str) and looks_like_a_name(source) and not _exists(source):
        raise unknown_name("network", source, [*shipped, "the path of a run, a folder or a .safetensors file"], InputError)
    path = existing_path(source, what="network")
    if path.is_dir():
        if not is_run(path):
            raise InputError(
                f"{path}: not a trained network: it has no {CONFIG} that states a schema; give a run folder, a folder with "
                f"{CONFIG} and {WEIGHTS}, or a name of taskct models"
            )
        return _of_run(load_run(path), own)
    return _of_file(path, own)


def is_model(source: str) -> bool:
    """Whether a word names a network of the package or something that exists, which may then be one."""
    return source in shipped_models() or not looks_like_a_name(source) or _exists(source)


def looks_like_a_name(text: str) -> bool:
    """Whether a word could be the name of a network rather than a path.

    >>> looks_like_a_name("abdomen-fbp-unet"), looks_like_a_name("runs/task"), looks_like_a_name("net.safetensors")
    (True, False, False)
    """
    return not any(sign in text for sign in ("/", "\\", ".safetensors", *_FOREIGN)) and text not in ("", ".", "..")


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # longer than any name of a file, or not one at all
        return False


def kind_of_config(config: Mapping[str, Any]) -> str:
    """What a config makes: "dose", "reader", "reconstruction", "task", or "" for another kind of run."""
    found = next((kind for table, kind in _TABLES.items() if table in config), "")
    return found or ("reconstruction" if "training" in config and "beam" in config else "")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    return hashlib.sha256(read_bytes(path, limit_bytes=2**34, what="file")).hexdigest()


def _of_run(run: Run, own: bool) -> SavedModel:
    folder = run.folder
    if not own and not kind_of_config(run.config):
        raise InputError(f"{folder}: not a trained network{_what_else(run)}")
    weights = run.path(WEIGHTS)
    card = read_card(run.path(CARD)) if run.path(CARD).exists() else None
    if card is not None:
        _check(card, run.config, folder)
        _check_config(card, run)
    elif not run.path(PROVENANCE).exists():
        _warn_of_no_card(folder)
    return SavedModel(folder.resolve().name, folder, run.config, card, weights)


def _of_file(path: Path, own: bool) -> SavedModel:
    if path.suffix.lower() != ".safetensors":
        raise UnsupportedDataError(
            f"{path}: not a file of weights that is read here (.safetensors); save the state_dict() by "
            "safetensors.torch.save_file, and put a config.toml beside it"
        )
    header = read_safetensors_text(path, what="weights")
    if "taskct_config" in header:
        config = _tables(header["taskct_config"], path)
        card = card_of(_tables(header["taskct_card"], path), where=str(path)) if "taskct_card" in header else None
    elif is_run(path.parent):
        run = load_run(path.parent)
        config = run.config
        beside = run.path(CARD)
        card = read_card(beside) if beside.exists() and path.name == WEIGHTS else None
        if card is not None:
            _check_config(card, run)
    elif own:
        config, card = {}, None
    else:
        raise InputError(
            f"{path}: holds weights, but not what network they belong to; put its config.toml beside it, or load your own "
            "module with load_reconstructor(path, model=...)"
        )
    if not own and not kind_of_config(config):
        raise InputError(f"{path}: its config has none of [{'], ['.join(_TABLES)}], so the network cannot be built")
    if card is None:
        _warn_of_no_card(path)
    else:
        _check(card, config, path)
    return SavedModel(path.stem if path.name != WEIGHTS else path.resolve().parent.name, path, config, card, path)


def _tables(text: str, path: Path) -> dict[str, Any]:
    with parsing(path, "TOML in the header of weights"):
        values = tomllib.loads(text)
    if values.get("schema") != SCHEMA:
        raise ConfigError(f"{path}: its header has schema {values.get('schema')!r}, this taskct reads {SCHEMA}")
    return values


def _check(card: Card, config: Mapping[str, Any], where: Path) -> None:
    if card.kind != kind_of_config(config):
        raise FileFormatError(
            f"{where}: the card is that of a network for {card.kind}, the config that of one for "
            f"{kind_of_config(config)}; take both from one place"
        )


def _check_config(card: Card, run: Run) -> None:
    if card.config_sha256 and sha256_of(run.path(CONFIG)) != card.config_sha256:
        raise FileFormatError(f"{run.path(CONFIG)}: not the config that the card describes (SHA-256 differs); take both again")


def _warn_of_no_card(where: Path) -> None:
    warnings.warn(
        f"{where}: has neither a card ({CARD}) nor the record of its training ({PROVENANCE}): what it was trained on and "
        "how good it is are not known",
        NoCardWarning,
        stacklevel=4,
    )


def _what_else(run: Run) -> str:
    """What a run without a network is, and where networks are."""
    inside = sorted(
        child.name for child in run.folder.iterdir() if child.is_dir() and (child / WEIGHTS).is_file() and is_run(child)
    )
    if inside:
        more = f" and {len(inside) - _MOST_NAMED} more" if len(inside) > _MOST_NAMED else ""
        return f", but a folder of {len(inside)}: name one of them, {run.folder}/{{{','.join(inside[:_MOST_NAMED])}}}{more}"
    if "experiment" in run.config:
        return ": an experiment without a finished training"
    return f": its config.toml has none of [{'], ['.join(_TABLES)}]"
