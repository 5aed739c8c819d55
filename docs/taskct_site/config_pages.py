"""The reference of config files, made of the dataclasses that read them: every key with its type, default and meaning."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from taskct.core.toml import to_toml
from taskct.evaluation.evaluation_config import DoseSteps, EvaluationPlan
from taskct.geometry import Grid
from taskct.geometry.beam_config import BEAM_KINDS
from taskct.geometry.presets import PRESETS
from taskct.recon.learned import LEARNED
from taskct.systems.alara.learned.dose_module import DoseSpec
from taskct.systems.alara.learned.dose_training_config import DoseData, DoseTrainingPlan, HeldPlan
from taskct.systems.catalogue import EXPERIMENTS
from taskct.task.readers import ReaderSpec
from taskct.training import TrainSettings
from taskct.training.augment import Augmentation
from taskct.training.sources import DataPlan
from taskct.training.training_config import DosePlan, ObjectivePlan, TrainPlan
from taskct_site.plain_docstrings import to_rst
from taskct_site.reference_pages import write_if_new

FILES: dict[str, tuple[str, dict[str, type]]] = {
    "taskct evaluate": (
        "Methods, doses and inputs of a comparison; a run folder holds it for repeats.",
        {"": EvaluationPlan, "[dose]": DoseSteps},
    ),
    "taskct train": (
        "A reader, or a reconstruction with its objective.",
        {
            "": TrainPlan,
            "[data]": DataPlan,
            "[training]": TrainSettings,
            "[reader]": ReaderSpec,
            "[augmentation]": Augmentation,
            "[objective]": ObjectivePlan,
            "[dose]": DosePlan,
        },
    ),
    "taskct dose": (
        "A dose that is learnt; [training] is that of taskct train.",
        {"": DoseTrainingPlan, "[data]": DoseData, "[held]": HeldPlan, "[dose_module]": DoseSpec},
    ),
}
_HEAD = """Config files
============

Configs are TOML. Each begins with ``schema = 1``; an unknown key is refused with what was probably meant, and no code is run
because a config names it. On the command line ``--set training.steps=100`` replaces a value. Whatever a command
resolved stands as ``config.toml`` in its run folder.
"""
_FIELD_DOC = re.compile(r"^\s*(`?[a-z_]\w*`?(?:, `?\w+`?)*)\s{2,}(\S.*)$")


def write_config_reference(path: Path) -> None:
    """Write the page; a file that would not change is left alone."""
    parts = [_HEAD]
    for command, (words, tables) in FILES.items():
        parts += [_title(f"{command} CONFIG", "-"), words, ""]
        for name, kind in tables.items():
            parts += [_title(name or "at the top of the file", "~"), *_described(kind), ""]
    parts += [
        _title("[beam]", "-"),
        "``kind`` and the numbers of one of these, or ``preset`` and the numbers that differ.",
        "",
    ]
    for name, kind in BEAM_KINDS.items():
        parts += [_title(f'kind = "{name}"', "~"), *_described(kind), ""]
    for name, make in PRESETS.items():
        parts += [_title(f'preset = "{name}"', "~"), *to_rst((inspect.getdoc(make) or "").splitlines()), ""]
    parts += [_title("[grid]", "-"), *_described(Grid), ""]
    parts += [_title("[model]", "-"), "``kind`` and the settings of one of these.", ""]
    for name, builder in LEARNED.items():
        parts += [_title(f'kind = "{name}"', "~"), *_called(builder), ""]
    parts += [_title("taskct reproduce NAME", "-"), "Each experiment has presets (``--preset``) and settings (``--set``).", ""]
    for name, (words, make) in EXPERIMENTS.items():
        found = make()
        presets = ", ".join(f"``{p}``" for p in found.presets)
        parts += [_title(name, "~"), f"{_sentence(words)} Presets: {presets}.", "", *_described(found.settings), ""]
    write_if_new(path, "\n".join(parts))


def _described(kind: Any) -> list[str]:
    """The docstring of a dataclass without the lines on its fields, then a table of its fields."""
    meanings = _meanings(kind)
    text = [line for line in (inspect.getdoc(kind) or "").splitlines() if not _FIELD_DOC.match(line) and line[:6].strip()]
    rows = []
    for one in dataclasses.fields(kind):
        if one.init:
            rows.append((one.name, _type(one.type), _default(one), meanings.get(one.name, "")))
    return [
        *to_rst([line for line in text if not line.startswith(">>>")]),
        *_table(("key", "type", "default", "meaning"), rows),
    ]


def _called(make: Callable[..., Any]) -> list[str]:
    """The first sentence of a function or module, then its settings from the signature."""
    rows = [
        (p.name, _type(p.annotation), "required" if p.default is p.empty else _value(p.default))
        for p in inspect.signature(make).parameters.values()
        if p.name not in ("net", "scale")
    ]
    head = (inspect.getdoc(make) or "").split("\n\n")[0].splitlines()
    return [*to_rst(head), *_table(("key", "type", "default"), rows)]


def _meanings(kind: type) -> dict[str, str]:
    """What the docstrings of a dataclass and of those that it extends say of its fields, lines in two columns."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__[:-1]):
        names: list[str] = []
        for line in (inspect.cleandoc(one.__doc__ or "")).splitlines():
            if match := _FIELD_DOC.match(line):
                names = [n.strip(" `") for n in match[1].split(",")]
                found |= dict.fromkeys(names, match[2])
            elif names and line.startswith("      "):
                found |= {n: f"{found[n]} {line.strip()}" for n in names}
            else:
                names = []
    return found


def _table(head: tuple[str, ...], rows: list[Any]) -> list[str]:
    if not rows:
        return ["No settings.", ""]
    if head[-1] == "meaning" and not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    lines = [".. list-table::", "   :header-rows: 1", "   :class: config", ""]
    for k, row in enumerate([head, *rows]):
        for j, cell in enumerate(row):
            text = cell if k == 0 or not cell else f"``{cell}``" if j < 3 else " ".join(to_rst([cell])).strip()
            lines.append(f"   {'*' if j == 0 else ' '} - {text}".rstrip())
    return [*lines, ""]


def _type(annotation: object) -> str:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return text.replace("Mapping", "table").replace("tuple", "list").replace(", ...", "").replace("Any", "value")


def _default(one: Any) -> str:
    if one.default is not dataclasses.MISSING:
        return _value(one.default)
    if one.default_factory is not dataclasses.MISSING:
        return _value(one.default_factory())
    return "required"


def _value(value: object) -> str:
    if value is None:
        return "none"
    if dataclasses.is_dataclass(value):
        return "as below"
    if isinstance(value, Mapping | tuple | list | str | bool | int | float):
        if isinstance(value, Mapping) and not value:
            return "{ }"
        try:
            return (
                to_toml({"x": value}).removeprefix("x = ").strip() if not isinstance(value, Mapping) else _inline_table(value)
            )
        except Exception:
            return repr(value)
    return repr(value)


def _inline_table(values: Mapping[Any, Any]) -> str:
    return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in values.items()) + " }"


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
