"""Does a findings head read the disease or the scanner? Trainings in which the two coincide, judged where they do not.

Two trainings of the findings head see the same slices of the same patients: in one every patient with an infection comes from
one scanner and every other from another, in the control the scanner is drawn by chance. Both are judged on the same test
patients in three arrangements: the scanner goes with the infection as in training, is independent of it, and is reversed.
Two questions are asked beside: how well the score tells the scanner of a slice without an infection, and how well a linear
probe reads the scanner from the maps of the encoder, trained and untrained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from taskct.core.runs import Run, is_run, load_run
from taskct.evaluation.influence import Influence, WeightedStatistic, influence
from taskct.evaluation.reading import auc
from taskct.evaluation.statistics import Interval
from taskct.experiments.made import Made
from taskct.systems.chest.chest_arms import Arm
from taskct.systems.chest.chest_classes import FINDINGS, WINDOW
from taskct.systems.chest.chest_net import ChestReader
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.chest_trainings import first_net
from taskct.systems.chest.scan_origins import ARRANGEMENTS, COINCIDE, CONFOUNDED, INDEPENDENT, OriginScans

AS_TRAINED, ANY_ORIGIN, REVERSED = (
    f"AUC {CONFOUNDED}, {how}" for how in ("scanner as in the confounded training", "scanner independent", "scanner reversed")
)
BY_SCORE, BY_PROBE = "AUC scanner by the score", "AUC scanner by a probe of the encoder"
BY_UNTRAINED = "AUC scanner by a probe of the untrained encoder"
ABOUT_SHORTCUT = {
    AS_TRAINED: f"of an {CONFOUNDED} in one lung of one slice; patients with it from one scanner, all others from the other",
    ANY_ORIGIN: "the same slices, each as both scanners show it",
    REVERSED: "the same slices, the scanners exchanged",
    BY_SCORE: f"which scanner a slice without an {CONFOUNDED} comes from, by its score; 0.5: the scanner has no effect",
    BY_PROBE: "by a linear discriminant of the means of the encoder's maps, learnt on training patients",
    BY_UNTRAINED: "the same from the first weights: what any encoder shows, whatever it learnt",
}
_BATCH = 32
_RIDGE = 0.01  # of the mean variance, so that maps that never vary do no harm


@dataclass(frozen=True, eq=False)
class OriginReadings:
    """What a network says of N slices of P test patients as both scanners show them.

    owner, truth      (N,) patient of a slice, and whether it shows the finding
    scores            (N, 2) logits of the finding
    probe, untrained  (N, 2) projections on the probe of the trained and of the untrained encoder: high for the first scanner
    """

    patients: tuple[str, ...]
    owner: np.ndarray
    truth: np.ndarray
    scores: np.ndarray
    probe: np.ndarray
    untrained: np.ndarray

    def save(self, folder: Path) -> None:
        """Write everything into a run folder."""
        run = load_run(folder) if is_run(folder) else Run.create(folder, {})
        tensors = {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in vars(self).items() if name != "patients"}
        run.save_tensors("origins.safetensors", tensors, metadata={"patients": "\n".join(self.patients)}, overwrite=True)

    @classmethod
    def read(cls, folder: Path) -> OriginReadings:
        """What `save` wrote."""
        tensors, facts = load_run(folder).load_tensors("origins.safetensors")
        return cls(tuple(facts["patients"].split("\n")), **{name: tensor.numpy() for name, tensor in tensors.items()})


def shortcut_arm(settings: ChestExperiment, arrangement: str, seed: int) -> Arm:
    """The training of the findings head alone on images of an arrangement."""
    return Arm(("classify",), steps=settings.shortcut_steps, seed=seed, name=f"shortcut-{arrangement}")


def single_slices(settings: ChestExperiment) -> ChestExperiment:
    """The settings of networks that see one slice at a time."""
    return replace(settings, neighbours=0)


def read_origins(
    folder: Path, *, settings: ChestExperiment, scans: Made[OriginScans], reader: Made[ChestReader], arm: Arm
) -> None:
    """What a trained network says of the test patients as both scanners show them, and what probes read from its encoder."""
    found = scans.load()
    trained = reader.load()
    learnt, _, _ = found.judged("train")
    both, truth, whose = found.judged("test")
    patients = tuple(dict.fromkeys(whose))
    untrained = first_net(single_slices(settings), arm).eval().encoder
    OriginReadings(
        patients,
        np.array([patients.index(p) for p in whose]),
        truth,
        np.stack([_scores(trained, both[:, k]) for k in (0, 1)], 1),
        *(
            probed(encoder_means(encoder, learnt), encoder_means(encoder, both))
            for encoder in (trained.net.encoder, untrained)
        ),
    ).save(folder)


def _scores(reader: ChestReader, mu: Tensor) -> np.ndarray:
    """(N, rows, cols) in 1/mm -> logits of the finding (N,)."""
    parts = [reader.answers(mu[k : k + _BATCH, None])["classify"] for k in range(0, len(mu), _BATCH)]
    return torch.cat(parts)[:, list(FINDINGS).index(CONFOUNDED)].numpy().astype(float)


def encoder_means(encoder: nn.Module, both: Tensor) -> np.ndarray:
    """Means of all maps of an encoder over each image of (N, 2, rows, cols): (N, 2, features)."""
    images = both.flatten(0, 1)[:, None]
    parts = []
    with torch.no_grad():
        for k in range(0, len(images), _BATCH):
            parts.append(torch.cat([one.mean((2, 3)) for one in encoder(WINDOW(images[k : k + _BATCH]))], 1))
    return torch.cat(parts).reshape(*both.shape[:2], -1).numpy().astype(float)


def probed(learnt: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Fisher's linear discriminant of the first against the second image of each pair, on other pairs: (N, 2, D) -> (N, 2)."""
    spread = learnt.reshape(-1, learnt.shape[-1]).std(0)
    scale = np.where(spread > 0, spread, 1.0)
    first, second = learnt[:, 0] / scale, learnt[:, 1] / scale
    within = (np.cov(first, rowvar=False) + np.cov(second, rowvar=False)) / 2
    within = within + _RIDGE * max(np.trace(within) / len(within), 1e-12) * np.eye(len(within))
    found: np.ndarray = (asked / scale) @ np.linalg.solve(within, first.mean(0) - second.mean(0))
    return found


def shortcut_scores(readings: OriginReadings) -> dict[str, WeightedStatistic]:
    """Score -> a function of the weights (P,) of the patients."""
    r = readings
    there = r.truth == 1
    twice, both = np.concatenate([r.owner, r.owner]), np.concatenate([r.truth, r.truth])
    without = np.flatnonzero(~there)
    asked, whose = np.repeat([1.0, 0.0], len(without)), np.concatenate([r.owner[without], r.owner[without]])
    scanners = np.repeat([1.0, 0.0], len(r.truth))
    columns = lambda pair: np.concatenate([pair[:, 0], pair[:, 1]])
    return {
        AS_TRAINED: partial(_auc, np.where(there, r.scores[:, 0], r.scores[:, 1]), r.truth, r.owner),
        ANY_ORIGIN: partial(_auc, columns(r.scores), both, twice),
        REVERSED: partial(_auc, np.where(there, r.scores[:, 1], r.scores[:, 0]), r.truth, r.owner),
        BY_SCORE: partial(_auc, columns(r.scores[without]), asked, whose),
        BY_PROBE: partial(_auc, columns(r.probe), scanners, twice),
        BY_UNTRAINED: partial(_auc, columns(r.untrained), scanners, twice),
    }


def _auc(scores: np.ndarray, truth: np.ndarray, owner: np.ndarray, weights: np.ndarray) -> float:
    return auc(scores, truth, weights=weights[owner])


@dataclass(frozen=True, eq=False)
class ShortcutRow:
    """A score of the trainings of one arrangement, or (`less`) its difference from another score or arrangement."""

    training: str
    score: str
    interval: Interval
    seeds: int
    less: str = ""


def shortcut_rows(readings: Mapping[tuple[str, int], OriginReadings]) -> list[ShortcutRow]:
    """All scores by arrangement, what is lost where the scanner is reversed, and the confounded training less the control."""
    found: dict[str, dict[int, dict[str, Influence]]] = {}
    for (arrangement, seed), one in readings.items():
        each = {name: influence([score], len(one.patients)) for name, score in shortcut_scores(one).items()}
        found.setdefault(arrangement, {})[seed] = each
    rows = []
    for arrangement in (a for a in ARRANGEMENTS if a in found):
        mine, seeds = found[arrangement], tuple(found[arrangement])
        for score in ABOUT_SHORTCUT:
            rows.append(ShortcutRow(arrangement, score, _all(mine, seeds, score).interval(bounds=(0, 1)), len(seeds)))
        lost = _all(mine, seeds, REVERSED).minus(_all(mine, seeds, AS_TRAINED))
        rows.append(ShortcutRow(arrangement, REVERSED, lost.interval(bounds=(-1, 1)), len(seeds), less=AS_TRAINED))
    shared = tuple(seed for seed in found.get(COINCIDE, {}) if seed in found.get(INDEPENDENT, {}))
    for score in ABOUT_SHORTCUT if shared else ():
        if score != BY_UNTRAINED:
            gain = _all(found[COINCIDE], shared, score).minus(_all(found[INDEPENDENT], shared, score))
            rows.append(ShortcutRow(COINCIDE, score, gain.interval(bounds=(-1, 1)), len(shared), less=INDEPENDENT))
    return rows


def _all(each: Mapping[int, Mapping[str, Influence]], seeds: Sequence[int], score: str) -> Influence:
    """A score of several seeds."""
    parts = [each[seed][score] for seed in seeds]
    return Influence(np.concatenate([p.values for p in parts]), np.concatenate([p.pseudo for p in parts]))
