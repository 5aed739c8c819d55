"""Run folders: what was asked (config.toml), what happened (metrics.jsonl), what it was made with (provenance.json)."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from taskct.core.config import SCHEMA
from taskct.core.csv_cells import csv_text
from taskct.core.errors import ConfigError, FileFormatError, InputError, OutputExistsError
from taskct.core.files import atomic_folder, atomic_path, encoded, existing_path, refuse_existing, refuse_others, write_text
from taskct.core.links import refuse_outside
from taskct.core.notebook_html import fact_card
from taskct.core.open_files import parse_json, read_json, read_text, read_toml_tables
from taskct.core.provenance import provenance as facts
from taskct.core.safetensors_files import pack_tensors, read_safetensors
from taskct.core.toml import to_toml
from taskct.core.write_locks import claim

RUN_FILES = ("config.toml", "provenance.json", "report.html")


class Run:
    """A folder that can be loaded again. `Run.create(folder, config)` makes one, `load_run(folder)` opens one.

        config.toml          the resolved configuration, with schema = 1
        provenance.json      commit, versions, command, machine, and what the caller adds
        metrics.jsonl        one line per call of `append`
        table.csv, *.safetensors and whatever else the work leaves

    Every file is written beside its place, flushed and renamed. A line of metrics.jsonl is one flushed write; a line that a
    crash cut short is dropped when the folder is next opened for writing, and never read.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.config: dict[str, Any] = _read_config(self.folder)

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        config: Mapping[str, Any],
        *,
        provenance: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> Run:
        """Make a run folder. `overwrite` replaces an older run (all of it), never a folder that is not a run.

        `provenance` is added to the facts that `core.provenance.provenance` gathers.
        """
        target = Path(folder)
        if target.exists() and overwrite and not is_run(target) and not _is_empty_folder(target):
            raise OutputExistsError(f"{target}: exists and is not a run folder, so it is not overwritten; choose another name")
        if "schema" in config and config["schema"] != SCHEMA:
            raise ConfigError(f"schema is set by taskct ({SCHEMA}), got {config['schema']!r}; leave it out")
        made = facts(**(provenance or {}))  # before: a child such as git must not inherit the lock of the new folder
        with atomic_folder(target, overwrite=overwrite) as part:
            (part / "config.toml").write_bytes(encoded(to_toml({"schema": SCHEMA, **config})))
            (part / "provenance.json").write_bytes(encoded(_json(made, indent=2) + "\n"))
        return cls(target)

    @property
    def provenance(self) -> dict[str, Any]:
        """What the run was made with."""
        return self.read_json("provenance.json")

    def append(self, **values: Any) -> None:
        """Add one line to metrics.jsonl; NaN and infinite numbers are written as null."""
        line = (_json(_finite(values)) + "\n").encode()
        path = self.path("metrics.jsonl")
        with open(path, "ab+") as f:
            end = f.seek(0, os.SEEK_END)
            if end:
                f.seek(end - 1)
                if f.read(1) != b"\n":  # a crash cut the last line short
                    f.seek(0)
                    f.truncate(f.read().rfind(b"\n") + 1)
            f.write(line)
            f.flush()
            os.fsync(f.fileno())

    def metrics(self) -> list[dict[str, Any]]:
        """All complete lines of metrics.jsonl, oldest first; empty when there are none."""
        path = self.path("metrics.jsonl")
        if not path.exists():
            return []
        complete = read_text(path).rpartition("\n")[0]
        lines = complete.split("\n") if complete else []
        return [parse_json(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]

    def write_metrics_csv(self) -> Path:
        """metrics.csv: the same lines as a table, one column per name that ever occurs."""
        rows = self.metrics()
        columns = list(dict.fromkeys(name for row in rows for name in row))
        self.write_text("metrics.csv", csv_text(columns, rows), overwrite=True)
        return self.path("metrics.csv")

    def path(self, name: str) -> Path:
        """Path of a file of this run; neither its name nor a symbolic link may lead out of the folder."""
        if Path(name).name != name or name in ("", ".", ".."):
            raise InputError(f"{self.folder}: a file of a run is named without folders, got {name!r}")
        return refuse_outside(self.folder, self.folder / name)

    def write_text(self, name: str, text: str, *, overwrite: bool = False) -> None:
        """Write a text file of the run."""
        write_text(self.path(name), text, overwrite=overwrite)

    def write_json(self, name: str, values: Mapping[str, Any], *, overwrite: bool = False) -> None:
        """Write plain values as JSON; NaN and infinite numbers become null."""
        write_text(self.path(name), json_text(values), overwrite=overwrite)

    def read_json(self, name: str) -> dict[str, Any]:
        """Plain values of a JSON file of the run."""
        return read_json(self.path(name), what=f"run's {name}")

    def save_tensors(
        self,
        name: str,
        tensors: Mapping[str, Tensor],
        *,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write tensors as safetensors (weights, example images), with text as metadata."""
        packed = pack_tensors(tensors, metadata=metadata)
        with atomic_path(self.path(name), overwrite=overwrite) as part:
            part.write_bytes(packed)

    def load_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors and metadata of a safetensors file of the run."""
        return read_safetensors(self.path(name), what=f"run's {name}")

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        files = ", ".join(sorted(p.name for p in self.folder.iterdir() if p.is_file()))
        tables = ", ".join(name for name in self.config if name != "schema")
        steps = self.metrics()
        last = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in steps[-1].items()) if steps else ""
        facts = {
            "folder": self.folder,
            "config.toml": tables,
            "metrics.jsonl": f"{len(steps)} lines" if steps else "",
            "last": last,
        }
        return fact_card("Run", facts | {"files": files})


def load_run(path: str | os.PathLike[str]) -> Run:
    """Open a run folder, after putting right what killed processes left in it.

    Raises InputError for a folder that is not a run, FileFormatError for a damaged one, ConfigError for a newer schema.
    """
    return Run(path)


def is_run(path: str | os.PathLike[str]) -> bool:
    """True for a folder whose config.toml states a schema."""
    try:
        _read_config(Path(path))
    except ConfigError:
        return True  # a run of a newer taskct
    except (InputError, FileFormatError):
        return False
    return True


def refuse_run(
    out: Path, *, overwrite: bool, ours: Collection[str] = (), sources: Iterable[str | os.PathLike[str]] = ()
) -> None:
    """Claim the folder of a run before the work; OutputExistsError for one that exists, as only a run is ever replaced.

    Since it is replaced whole, it may hold nothing but RUN_FILES and the names `ours`, such as no network and none of the
    inputs `sources` (`refuse_others`).
    """
    claim(out)
    if out.exists() and overwrite and not is_run(out) and not (out.is_dir() and not any(out.iterdir())):
        raise OutputExistsError(f"{out}: exists and is not a run folder, so it is not overwritten; choose another name")
    refuse_existing(out, overwrite=overwrite, folder=True)
    refuse_others(out, {*RUN_FILES, *ours}, sources=sources)


def _read_config(folder: Path) -> dict[str, Any]:
    existing_path(folder, what="run")
    path = refuse_outside(folder, folder / "config.toml")
    if not folder.is_dir() or not path.is_file():
        raise InputError(f"{folder}: not a run folder (it has no config.toml); give the folder that a taskct command wrote")
    config = read_toml_tables(path, what="run's config")
    schema = config.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int):
        raise InputError(f"{folder}: not a run folder (its config.toml states no schema)")
    if schema != SCHEMA:
        raise ConfigError(f"{path}: written with schema {schema}, this taskct reads schema {SCHEMA}; use the newer taskct")
    return config


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def json_text(values: Mapping[str, Any]) -> str:
    """Plain values as a JSON file holds them; NaN and infinite numbers become null."""
    return _json(_finite(values), indent=2) + "\n"


def _json(values: Any, indent: int | None = None) -> str:
    try:
        return json.dumps(values, ensure_ascii=False, allow_nan=False, indent=indent, default=_plain)
    except ValueError as error:
        raise ConfigError(f"cannot be written as JSON: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # numpy and torch scalars and small arrays
        return _finite(value.tolist())
    raise ConfigError(f"a run holds text, numbers, lists and tables, got {type(value).__name__}")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
