"""A panel of readers: every method's images under the reader of the training, under unseen ones, and under retrained ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from taskct.core.class_names import refuse_other_order
from taskct.core.errors import InputError
from taskct.core.progress import track
from taskct.core.tensors import refuse_nan
from taskct.evaluation.metrics import psnr, rmse, ssim
from taskct.evaluation.reading.controls import random_reader, shuffled_labels
from taskct.evaluation.reading.lesions import FALSE_ALARM_RATES, Bins, Facts, LesionSet, MatchRule, find_lesions, froc, match
from taskct.evaluation.reading.ratios import described_metrics, rate_name
from taskct.evaluation.reading.readings import UNTRAINED, MethodImages
from taskct.evaluation.reading.recovery import RETRAINED_OF
from taskct.evaluation.reading.segmentation import average_precision, best_bias, count, log_odds, predict_with_bias, winner
from taskct.evaluation.rows import IMAGE, UNSEEN, DoseLevel, Row
from taskct.evaluation.table import Table
from taskct.task.frozen import FrozenTask

RANDOM, SHUFFLED = "random network", "shuffled labels"
OwnReader = Callable[[MethodImages], FrozenTask | None]
Key = tuple[str, int, DoseLevel]


@dataclass(frozen=True, eq=False)
class ReaderPanel:
    """Who reads: `training` is the frozen reader of the training, `unseen` are readers never used in training.

    Give two or more unseen readers of other architectures, trained on full dose like the first. `retrained(images)` gives the
    reader that was trained anew on that method's own low-dose images (None where there is none): the bound of what is
    recoverable. `own(images)` is a reader that belongs to a method, such as the one of joint training. Controls are a network
    with random weights and the labels of other patients, the latter where there are two patients or more.

    `classes` names the labels that are scored, `lesion_class` is counted lesion by lesion, `organ_class` surrounds it.
    """

    training: FrozenTask
    unseen: Sequence[FrozenTask]
    classes: Mapping[int, str] = field(default_factory=lambda: {1: "liver", 2: "tumour"})
    lesion_class: int = 2
    organ_class: int | None = 1
    retrained: OwnReader | None = None
    own: OwnReader | None = None
    controls: bool = True
    rule: MatchRule = field(default_factory=MatchRule)
    bins: Bins = field(default_factory=Bins)
    rates: tuple[float, ...] = FALSE_ALARM_RATES
    bin_rates: tuple[float, ...] = (0.25, 1.0, 4.0)
    facts: Callable[[MethodImages], Facts] | None = None
    batch: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.lesion_class not in self.classes or 0 in self.classes:
            raise InputError(f"classes expect the lesion's label {self.lesion_class} and no background 0, got {self.classes}")
        names = [task.name for task in (self.training, *self.unseen)]
        taken = {RANDOM, SHUFFLED, IMAGE, UNSEEN, "retrained", "own"}
        if len(set(names)) != len(names) or taken & set(names):
            raise InputError(f"readers need different names, none of {', '.join(sorted(taken))}; got {', '.join(names)}")
        for reader in (self.training, *self.unseen):
            refuse_other_order(dict(enumerate(reader.classes)), self.classes, who=f"panel, reader {reader.name!r}")
        for reader in self.unseen:
            if same_weights(reader, self.training):
                raise InputError(
                    f"the unseen reader {reader.name!r} has the weights of the training's reader {self.training.name!r}; "
                    "train it from another seed, better with another architecture"
                )

    @property
    def roles(self) -> dict[str, str]:
        """Reader -> role of everything that the panel measures."""
        roles = {self.training.name: "training"} | {reader.name: UNSEEN for reader in self.unseen}
        roles |= {"retrained": "retrained"} if self.retrained else {}
        roles |= {"own": "own"} if self.own else {}
        return roles | ({RANDOM: "control", SHUFFLED: "control"} if self.controls else {}) | {IMAGE: IMAGE}

    def evaluate(
        self,
        test: Iterable[MethodImages],
        *,
        validation: Iterable[MethodImages] = (),
        progress: bool | None = None,
    ) -> Table:
        """Read every set under every reader -> one table.

        `validation` holds sets of the same methods, doses and seeds on other patients: on them one logit bias per method and
        reader is tuned. Without them no re-tuned score is given. Both may be generators, so that one set is in memory at a
        time. Raises InputError when validation shares a patient with the test sets, or two sets have one key.
        """
        biases: dict[tuple[Key, str], float] = {}
        tuned_on: set[str] = set()
        for images in validation:
            tuned_on |= set(images.patients)
            for reader, role in self._readers(images):
                if role != "control":
                    logits = read_images(reader, images.mu, batch=self.batch)
                    biases[images.key, self._name(reader, role)] = best_bias(logits, images.labels.cpu(), self.lesion_class)
        rows: list[Row] = []
        seen: set[Key] = set()
        for images in track(test, "reading", progress=progress):
            shared = tuned_on & set(images.patients)
            if shared:
                raise InputError(f"patient {min(shared)!r} is in validation and in the test; biases must be tuned on others")
            if images.key in seen:
                raise InputError(f"method {images.method!r} with seed {images.seed} at {images.dose} is given twice")
            seen.add(images.key)
            rows.extend(self._rows(images, biases))
        settings = {"metrics": described_metrics(dict.fromkeys(r.metric for r in rows))}
        return Table(rows, settings, notes=self._notes(biases), readers=self.roles)

    def _rows(self, images: MethodImages, biases: Mapping[tuple[Key, str], float]) -> Iterator[Row]:
        labels = images.labels.cpu().numpy()
        hu = None if images.truth_mu is None else images.images.hu(images.truth_mu)[:, 0].cpu().numpy()
        truth = find_lesions(
            labels,
            self.lesion_class,
            spacing_mm=images.spacing_mm,
            truth_hu=hu,
            organ_index=self.organ_class,
            facts=None if self.facts is None else self.facts(images),
        )
        yield from _image_rows(images)
        for reader, role in self._readers(images):
            name = self._name(reader, role)
            logits = read_images(reader, images.mu, batch=self.batch)
            yield from self._pixel_rows(images, logits, images.labels.cpu(), name)
            if role == "training" and self.controls and len(set(images.patients)) > 1:
                yield from self._pixel_rows(images, logits, shuffled_labels(images, seed=self.seed).labels.cpu(), SHUFFLED)
            if role != "control":
                yield from self._lesion_rows(images, logits, truth, name)
                if (images.key, name) in biases:
                    yield from self._retuned_rows(images, logits, name, biases[images.key, name])

    def _pixel_rows(self, images: MethodImages, logits: Tensor, labels: Tensor, reader: str) -> Iterator[Row]:
        """Counts, Dice and pixel AP of every class, per case."""
        marked = winner(logits)
        for index, region in self.classes.items():
            counts = count(marked, labels, index)
            scores = log_odds(logits, index).numpy()
            true = (labels == index).numpy()
            for case, i in images.groups().items():
                put = _putter(images, case, i, region, reader)
                tp, fp, fn = (int(n[i].sum()) for n in (counts.tp, counts.fp, counts.fn))
                yield from put(tp_px=tp, fp_px=fp, fn_px=fn, dice=_dice(tp, fp, fn))
                yield from put(dice_slice=_mean_of_defined(counts.dice[i]))
                yield from put(ap=average_precision(scores[i], true[i]))
                free = counts.empty[i]
                yield from put(fp_px_free=int(counts.fp[i][free].sum()), images_free=int(free.sum()))

    def _retuned_rows(self, images: MethodImages, logits: Tensor, reader: str, bias: float) -> Iterator[Row]:
        marked = predict_with_bias(logits, self.lesion_class, bias)
        for index, region in self.classes.items():
            counts = count(marked, images.labels.cpu(), index)
            for case, i in images.groups().items():
                tp, fp, fn = (int(n[i].sum()) for n in (counts.tp, counts.fp, counts.fn))
                put = _putter(images, case, i, region, reader)
                yield from put(tp_px_retuned=tp, fp_px_retuned=fp, fn_px_retuned=fn, dice_retuned=_dice(tp, fp, fn))

    def _lesion_rows(self, images: MethodImages, logits: Tensor, truth: LesionSet, reader: str) -> Iterator[Row]:
        """Lesions, those found as the reader decides and at each rate of false alarms, in all and per bin."""
        hits, alarms = match((winner(logits) == self.lesion_class).numpy(), truth, self.rule)
        curve = froc(log_odds(logits, self.lesion_class).numpy(), truth, rule=self.rule)
        found = {"lesions_found": hits} | {f"lesions_found@{rate_name(r)}": curve.found_at(r) for r in self.rates}
        in_bins = {"lesions_found", *(f"lesions_found@{rate_name(r)}" for r in self.bin_rates)}
        item = np.array([one.item for one in truth.lesions], dtype=np.int64)
        names = [self.bins.of(one) for one in truth.lesions]
        region = self.classes[self.lesion_class]
        for case, i in images.groups().items():
            here = np.isin(item, i)
            put = _putter(images, case, i, region, reader)
            yield from put(lesions=int(here.sum()), images=len(i), false_marks=int(alarms[i].sum()))
            yield from put(**{name: int(h[here].sum()) for name, h in found.items()})
            for one in sorted({b for k in np.flatnonzero(here) for b in names[k]}):
                inside = here & np.array([one in n for n in names])
                put = _putter(images, case, i, f"{region}, {one}", reader)
                yield from put(lesions=int(inside.sum()))
                yield from put(**{name: int(h[inside].sum()) for name, h in found.items() if name in in_bins})

    def _readers(self, images: MethodImages) -> Iterator[tuple[FrozenTask, str]]:
        """Those of some images and their roles; UnitsError or InputError where one would misread them."""
        refuse_other_order(self.classes, images.images.label_names, who=f"images of {images.method!r}: panel")
        yield _able(self.training, images), "training"
        for reader in self.unseen:
            yield _able(reader, images), UNSEEN
        for role, choose in (("retrained", self.retrained), ("own", self.own)):
            chosen = choose(images) if choose else None
            if chosen is not None:
                yield _able(chosen, images), role
        if self.controls:
            yield random_reader(self.training, seed=self.seed, name=RANDOM), "control"

    @staticmethod
    def _name(reader: FrozenTask, role: str) -> str:
        return role if role in ("retrained", "own") else reader.name

    def _notes(self, biases: Mapping[tuple[Key, str], float]) -> dict[str, object]:
        alike = [r.name for r in self.unseen if same_architecture(r, self.training)]
        retrained = {RETRAINED_OF: {"retrained": self.training.name}} if self.retrained else {}
        return {
            **retrained,
            "match_rule": str(self.rule),
            "unseen_of_the_same_architecture": alike,
            "lesion_class": self.classes[self.lesion_class],
            "biases": [
                {"method": m, "seed": s, "dose_fraction": d.fraction, "photons": d.photons, "reader": r, "bias": round(b, 6)}
                for ((m, s, d), r), b in biases.items()
            ],
        }


def _able(reader: FrozenTask, images: MethodImages) -> FrozenTask:
    """The reader, once it is known that it can read the images."""
    about = images.images
    reader.check_images(
        who=f"images of {images.method!r}",
        mu_water_per_mm=about.mu_water_per_mm,
        spacing_mm=about.spacing_mm,
        label_names=about.label_names,
    )
    return reader


def read_images(reader: FrozenTask, mu: Tensor, *, batch: int = 16) -> Tensor:
    """The reader's logits in float32 on the CPU: mu (N, 1, ...) -> (N, K, ...); the images' device is that of the reader.

    InputError for NaN: every score of it would be 0, as that of a reader who sees nothing.
    """
    weight = next(reader.net.parameters(), None)
    device = mu.device if weight is None else weight.device
    with torch.no_grad():
        logits = torch.cat([reader.predict(part.to(device)).float().cpu() for part in mu.split(batch)])
    refuse_nan(logits, who=f"reader {reader.name!r}")
    return logits


def same_architecture(one: FrozenTask, other: FrozenTask) -> bool:
    """Whether two readers have the same layers with weights of the same shapes."""
    shapes = [[(k, tuple(v.shape)) for k, v in task.net.state_dict().items()] for task in (one, other)]
    return type(one.net) is type(other.net) and shapes[0] == shapes[1]


def same_weights(one: FrozenTask, other: FrozenTask) -> bool:
    """Whether two readers are one network under two names."""
    if not same_architecture(one, other) or not list(one.net.parameters()):
        return False
    pairs = zip(one.net.state_dict().values(), other.net.state_dict().values(), strict=True)
    return all(torch.equal(a.cpu(), b.cpu()) for a, b in pairs)


def _image_rows(images: MethodImages) -> Iterator[Row]:
    if images.truth_mu is None:
        return
    perfect = torch.equal(images.mu, images.truth_mu)
    hu = images.images.hu
    values = {"ssim": ssim(images.mu, images.truth_mu), "rmse_hu": rmse(hu(images.mu), hu(images.truth_mu))}
    if not perfect:
        values["psnr"] = psnr(images.mu, images.truth_mu)
    for case, i in images.groups().items():
        put = _putter(images, case, i, "all", IMAGE)
        yield from put(**{name: float(value[torch.from_numpy(i)].mean()) for name, value in values.items()})


def _putter(images: MethodImages, case: str, numbers: np.ndarray, region: str, reader: str) -> Callable[..., Iterator[Row]]:
    """Function metric=value -> rows of one case."""
    start = (images.method, case, images.patients[int(numbers[0])], None, images.dose_fraction, images.photons)
    seed = None if images.seed == UNTRAINED else images.seed

    def put(**values: float) -> Iterator[Row]:
        for metric, value in values.items():
            yield Row(*start, metric, region, float(value), reader, seed)

    return put


def _mean_of_defined(values: np.ndarray) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _dice(tp: int, fp: int, fn: int) -> float:
    return 2 * tp / (2 * tp + fp + fn) if tp + fn else float("nan")
