"""`prepare_store`: the images of CT in any format, prepared once on disk so that trainings can stream them."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from taskct.core.errors import ConfigError, FileFormatError, InputError, TaskctError
from taskct.core.files import make_folder, refuse_existing, write_text
from taskct.core.names import plural
from taskct.core.open_files import read_json, read_text
from taskct.core.progress import track
from taskct.core.write_locks import one_writer
from taskct.data.case import Case
from taskct.data.image_store import CASES, FORMAT, INDEX, VERSION, StoredCase, StoreMismatchError, open_store, read_case
from taskct.data.image_store_case import Targets, write_case
from taskct.data.images import ImageSet
from taskct.data.open import case_places, open_place
from taskct.data.sets.case_place import CasePlace
from taskct.data.sets.label_files import SkippedCaseWarning
from taskct.data.slice_recipe import CommonFacts, SliceRecipe
from taskct.data.source_files import files_of, hash_of_case, hash_of_files

RECIPE = "recipe.json"
_MOST_REPORTED = 3


@dataclass(frozen=True)
class _Item:
    """A case that may have to be read: its name in the source, the hash of its content, and how to read it."""

    name: str
    content: Callable[[], str]
    read: Callable[[], Case]


def prepare_store(
    source: str | os.PathLike[str] | Iterable[Case],
    path: str | os.PathLike[str],
    recipe: SliceRecipe | None = None,
    *,
    labels: str | os.PathLike[str] | None = None,
    label_names: Mapping[int, str] | None = None,
    resample_labels: bool = False,
    targets: Targets | None = None,
    refresh: bool = False,
    skip_bad: bool = False,
    progress: bool | None = None,
) -> ImageSet:
    """Prepare the images of all cases below `source` (or of cases in memory) in the folder `path`, and open it.

    Each case becomes one file, written whole or not at all. A preparation that was stopped or killed resumes: cases whose
    source has the same content as before are not read again. `targets(case, numbers)` gives further truths of the slices
    `numbers`, values by name with None for what is not known. `labels`, `label_names` and `resample_labels` are those of
    `iter_cases`. Memory is that of one case.

    `refresh` makes cases anew whose source has changed since, and drops those that are gone; without it StoreMismatchError
    names them. Raises ConfigError for another recipe than that of the store, BusyError while another process prepares it, and
    one error that names the cases which cannot be read (with `skip_bad` each is warned of, and left out).
    """
    folder, chosen = Path(path), recipe or SliceRecipe()
    named = str(source) if isinstance(source, str | os.PathLike) else "cases in memory"
    how = {
        **asdict(chosen),
        "label_names": dict(label_names or {}),
        "resample_labels": resample_labels,
        "targets": None
        if targets is None
        else f"{targets.__module__}:{getattr(targets, '__qualname__', type(targets).__name__)}",
    }
    how = json.loads(json.dumps(how))  # as it will be read back
    items = _items(source, chosen, labels=labels, label_names=label_names, resample_labels=resample_labels)
    with one_writer(folder):
        _begin(folder, how)
        before = _cases_before(folder)
        made: dict[str, StoredCase] = {}
        seen, bad = set(), []
        marked = 0
        for item in track(items, f"preparing {folder}", progress=progress):
            if item.name in seen:
                raise InputError(f"{folder}: two cases are both called {item.name!r}; give each a name of its own")
            seen.add(item.name)
            versions = before.get(item.name, {})
            try:
                content = item.content()
                known = versions.get(content)
                if versions and known is None and not refresh:
                    raise StoreMismatchError(
                        f"{folder}: {item.name} has changed since the store was made from it; refresh=True (--refresh) makes "
                        "it anew, another folder keeps both"
                    )
                if known is None:
                    case = item.read()
                    marked += case.marks is not None
                    known = write_case(folder / CASES, case, item.name, content, chosen, targets)
            except StoreMismatchError:
                raise
            except TaskctError as error:
                bad.append(str(error))
                if skip_bad:
                    warnings.warn(f"left out: {error}", SkippedCaseWarning, stacklevel=2)
                continue
            made[item.name] = known
        gone = sorted(set(before) - seen)
        if gone and not refresh:
            raise StoreMismatchError(
                f"{folder}: {gone[0]}{f' and {len(gone) - 1} more' if len(gone) > 1 else ''}, which the store was made from, "
                f"is no longer in {named}; refresh=True (--refresh) drops it"
            )
        if bad and not skip_bad:
            listed = "; ".join(f"[{i}] {line}" for i, line in enumerate(bad[:_MOST_REPORTED], start=1))
            more = f"; and {len(bad) - _MOST_REPORTED} more" if len(bad) > _MOST_REPORTED else ""
            raise FileFormatError(
                f"{named}: {len(bad)} of {len(seen)} cases cannot be read, the others are prepared (skip_bad=True, --skip-bad "
                f"leaves them out): {listed}{more}"
            )
        _finish(folder, list(made.values()), how, named, bad)
    if marked:
        warnings.warn(
            f"{folder}: a store keeps no marks; those of {plural(marked, 'case')} were left out. MarkedSet.images and "
            "images_of_cases make image sets that carry them",
            SkippedCaseWarning,
            stacklevel=2,
        )
    return open_store(folder)


def _begin(folder: Path, how: dict[str, Any]) -> None:
    """A new store, or one of the same recipe."""
    if (folder / RECIPE).is_file():
        then = read_json(folder / RECIPE)
        other = [key for key in {**then, **how} if then.get(key) != how.get(key)]
        if other:
            raise ConfigError(
                f"{folder}: the store was made with {other[0]} = {then.get(other[0])!r}, now {how.get(other[0])!r}; "
                "choose another folder for another recipe"
            )
        return
    refuse_existing(folder, overwrite=False, folder=True)
    make_folder(folder / CASES)
    write_text(folder / RECIPE, json.dumps(how, indent=1) + "\n")


def _cases_before(folder: Path) -> dict[str, dict[str, StoredCase]]:
    """What is prepared already, by its name in the source and the hash of its content; damaged files are made anew."""
    found: dict[str, dict[str, StoredCase]] = {}
    for file in _case_files(folder):
        try:
            case = read_case(file)
        except FileFormatError:
            continue
        found.setdefault(case.source, {})[case.source_hash] = case
    return found


def _case_files(folder: Path) -> list[Path]:
    return sorted(f for f in (folder / CASES).glob("*.h5") if not f.name.startswith("."))  # those are being written


def _items(
    source: str | os.PathLike[str] | Iterable[Case],
    recipe: SliceRecipe,
    *,
    labels: str | os.PathLike[str] | None,
    label_names: Mapping[int, str] | None,
    resample_labels: bool,
) -> Sequence[_Item] | Iterator[_Item]:
    if not isinstance(source, str | os.PathLike):
        return (_Item(case.case_id, partial(hash_of_case, case), partial(_itself, case)) for case in source)
    root = Path(source)
    options = {"label_names": label_names, "resample_labels": resample_labels, "mu_water_per_mm": recipe.mu_water_per_mm}
    places = case_places(root, labels=labels)
    top = root if root.is_dir() else root.parent
    return [
        _Item(
            f"{os.path.relpath(place.name, top)}{f' ({place.case_id})' if place.case_id else ''}",
            partial(_hash_of_place, place, top),
            partial(open_place, place, **options),  # type: ignore[arg-type]
        )
        for place in places
    ]


def _itself(case: Case) -> Case:
    return case


def _hash_of_place(place: CasePlace, top: Path) -> str:
    return hash_of_files(files_of(place), top)


def _finish(folder: Path, cases: list[StoredCase], how: dict[str, Any], named: str, skipped: list[str]) -> None:
    """Check that the cases fit together, write the index, and remove the files of cases that do not belong to it."""
    facts = CommonFacts()
    used = [case for case in cases if case.ids]
    if not used:
        raise InputError(f"{named}: holds no {'labelled ' if how['labelled_only'] else ''}CT")
    names: dict[str, str] = {}
    twice: dict[tuple[str, ...], str] = {}
    for case in used:
        other = twice.setdefault(tuple(case.hashes), case.source) if any(case.hashes) else case.source  # "": of one value
        if other != case.source:
            raise InputError(
                f"{folder}: {case.source} and {other} have the same images, one CT twice; move one of them elsewhere"
            )
        if case.case_id in names:
            raise InputError(f"{folder}: {case.source} and {names[case.case_id]} are both called {case.case_id!r}; rename one")
        names[case.case_id] = case.source
        label_names = {int(n): name for n, name in case.label_names.items()}
        facts.add(case.case_id, tuple(case.shape), tuple(case.spacing_mm), label_names if case.label_dtype else None)
    order = {patient: k for k, patient in enumerate(dict.fromkeys(case.patient_id for case in used))}
    used.sort(key=lambda case: order[case.patient_id])  # patients stand together, otherwise as they came
    kinds = [np.dtype(case.label_dtype) for case in used if case.label_dtype]
    about = {
        "format": FORMAT,
        "version": VERSION,
        "source": named,
        "recipe": how,
        "shape": list(facts.shape),
        "spacing_mm": list(facts.spacing_mm),
        "label_names": {str(n): name for n, name in facts.label_names.items()},
        "label_dtype": str(np.result_type(*kinds)) if kinds else "uint8",
        "skipped": skipped,
        "cases": [asdict(case) for case in used],
    }
    text = json.dumps(about) + "\n"
    if not (folder / INDEX).is_file() or read_text(folder / INDEX) != text:
        write_text(folder / INDEX, text, overwrite=True)
    belong = {case.file for case in cases}
    for file in _case_files(folder):
        if file.name not in belong:
            file.unlink()
