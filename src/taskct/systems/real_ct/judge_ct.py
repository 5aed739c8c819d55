"""The steps that judge: all slices and doses of one CT by the classical methods, and by one network."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskct.core.csv_cells import csv_text
from taskct.core.errors import InputError
from taskct.core.files import atomic_path, make_folder, write_text
from taskct.core.open_files import open_binary, read_text
from taskct.core.progress import track
from taskct.experiments.made import Made
from taskct.physics.dose import Dose
from taskct.recon.learned import load_reconstructor
from taskct.systems.real_ct.judged_ct import JUDGED
from taskct.systems.real_ct.judging import (
    HANN,
    TV,
    TV_WEIGHTED,
    Score,
    Subject,
    classical_methods,
    judge_once,
    judge_slice,
    learned_method,
    observe_slice,
    tuned_strength,
    weighted_method,
)
from taskct.systems.real_ct.real_ct_settings import RealCTExperiment

COLUMNS = ("ct", "part", "seen", "slice", "dose", "method", "metric", "region", "value")
METHOD_OF = {"image": "network, image error", "task": "network, task term"}
_ROWS, _SHOWN, _STRENGTH = "rows.csv", "images.npz", "strength.csv"
SHOWN_AT = 0.1


def judge_classical(folder: Path, *, settings: RealCTExperiment, ct: str) -> None:
    """FBP, FBP with a Hann window, and TV, whose strength is tuned on another slice of the CT."""
    methods = classical_methods(_tuned(folder, settings, ct, weighted=False))
    _judge(folder, settings, ct, lambda subject, dose: judge_slice(subject, dose, methods))


def judge_weighted(folder: Path, *, settings: RealCTExperiment, ct: str) -> None:
    """TV with count weights, tuned alike: error and bias alone, since it takes long."""
    method = weighted_method(_tuned(folder, settings, ct, weighted=True))
    _judge(folder, settings, ct, lambda subject, dose: [judge_once(subject, dose, TV_WEIGHTED, method)])


def judge_network(folder: Path, *, settings: RealCTExperiment, ct: str, arm: str, trained: Made[Path]) -> None:
    """The network of an arm."""
    methods = {METHOD_OF[arm]: learned_method(load_reconstructor(trained.folder))}
    _judge(folder, settings, ct, lambda subject, dose: judge_slice(subject, dose, methods))


def observe(
    folder: Path, *, settings: RealCTExperiment, ct: str, classical: Made[Path], trained: Mapping[str, Made[Path]]
) -> None:
    """Contrast and observers of lesions from `settings.draws` scans, by FBP with a Hann window, TV and the networks.

    TV with count weights takes too long for so many scans.
    """
    strength = float(_read(classical.folder / _STRENGTH)[0]["strength"])
    methods = {name: classical_methods(strength)[name] for name in (HANN, TV)}
    methods |= {METHOD_OF[arm]: learned_method(load_reconstructor(made.folder)) for arm, made in trained.items()}
    make_folder(folder)
    rows: list[dict[str, Any]] = []
    for number, subject in _subjects(settings, ct):
        for fraction in track([f for f in settings.fractions if f < 1], f"{ct}: lesions", progress=None):
            for scores in observe_slice(subject, Dose(settings.judged_photons, fraction), methods, draws=settings.draws):
                rows += _rows(ct, number, fraction, scores)
    write_text(folder / _ROWS, csv_text(COLUMNS, rows), overwrite=True)


def read_rows(folder: Path) -> list[dict[str, str]]:
    """The rows that a judging step wrote."""
    return _read(folder / _ROWS)


def read_images(folder: Path) -> Mapping[str, np.ndarray]:
    """Images in HU by name, of the first judged slice at a tenth of the dose."""
    with open_binary(folder / _SHOWN) as stream, np.load(stream, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _judge(
    folder: Path,
    settings: RealCTExperiment,
    ct: str,
    judge: Callable[[Subject, Dose], Iterable[tuple[list[Score], np.ndarray]]],
) -> None:
    make_folder(folder)
    about = JUDGED[ct]
    rows: list[dict[str, Any]] = []
    shown: dict[str, np.ndarray] = {}
    for number, subject in _subjects(settings, ct):
        if number == about.slices[0]:
            shown["full dose"] = subject.hu.astype(np.float16)
        for fraction in track(settings.fractions, f"{ct}, slice {number}", progress=None):
            for scores, image in judge(subject, Dose(settings.judged_photons, fraction)):
                rows += _rows(ct, number, fraction, scores)
                if number == about.slices[0] and fraction == SHOWN_AT:
                    shown[scores[0].method] = image.astype(np.float16)
    with atomic_path(folder / _SHOWN, overwrite=True) as part, open(part, "wb") as f:
        np.savez_compressed(f, allow_pickle=False, **shown)
    write_text(folder / _ROWS, csv_text(COLUMNS, rows), overwrite=True)


def _rows(ct: str, number: int, fraction: float, scores: Sequence[Score]) -> list[dict[str, Any]]:
    facts = (ct, JUDGED[ct].about, int(JUDGED[ct].seen), number, f"{fraction:g}")
    return [dict(zip(COLUMNS, (*facts, *score), strict=True)) for score in scores]


def _read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(read_text(path))))


def _subjects(settings: RealCTExperiment, ct: str) -> Iterator[tuple[int, Subject]]:
    for number in JUDGED[ct].slices:
        yield number, _subject(settings, ct, number)


def _subject(settings: RealCTExperiment, ct: str, number: int) -> Subject:
    return Subject(f"{ct}-{number}", *JUDGED[ct].slice_of(_data(settings), number))


def _tuned(folder: Path, settings: RealCTExperiment, ct: str, *, weighted: bool) -> float:
    """The best strength of TV on another slice, at a tenth of the dose: `tv_min` scales it with the noise."""
    number = JUDGED[ct].tuned_on[0]
    found = tuned_strength(
        _subject(settings, ct, number), Dose(settings.judged_photons, SHOWN_AT), settings.strengths, weighted=weighted
    )
    make_folder(folder)
    write_text(folder / _STRENGTH, csv_text(("slice", "strength"), [{"slice": number, "strength": found}]), overwrite=True)
    return found


def _data(settings: RealCTExperiment) -> Path:
    data = Path(settings.data)
    if not data.is_dir():
        raise InputError(f"{data}: no such folder of CT; give it by --set data=FOLDER (docs/real-ct-network.md)")
    return data
