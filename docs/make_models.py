"""Write the networks that come with the package from the folders of two experiments, with the figures measured there.

python docs/make_models.py runs/networks runs/networks-dose
    of `taskct reproduce task-adaptive --preset networks --out runs/networks` and
    `taskct reproduce dose --preset networks --out runs/networks-dose`
python docs/make_models.py --table     writes the table of docs/models.md alone

Weights are kept in half precision where the figures stay the same: each network is read again in both precisions on the test
patients of its experiment, and float32 is kept where a Dice differs by 0.001 or more.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from taskct.core.config import from_dict
from taskct.core.files import write_text
from taskct.core.runs import Run, load_run
from taskct.evaluation.reading import read_images
from taskct.evaluation.reading.segmentation import count, winner
from taskct.evaluation.rows import UNSEEN
from taskct.evaluation.table import Table
from taskct.experiments.cohort_images import DrawnPatients, cohort_of, projector_of
from taskct.experiments.step_record import read_record
from taskct.models import Card, Figure, TrainingData, open_model, pack_model, shipped_models
from taskct.models.package_models import SHIPPED
from taskct.recon.learned import load_reconstructor
from taskct.systems.adaptive.experiment import LOSSES, MODELS, PRESETS, TaskAdaptive
from taskct.systems.adaptive.experiment.experiment_scans import doses_of
from taskct.systems.adaptive.experiment.scoring import FULL_DOSE, reconstruct_all
from taskct.systems.adaptive.network_demo import NETWORKS_OF_PACKAGE, READERS_OF_PACKAGE
from taskct.systems.adaptive.pages.headline import WORDS
from taskct.systems.alara.dose_demo import DOSE_OF_PACKAGE
from taskct.systems.alara.experiment import DoseExperiment
from taskct.systems.alara.experiment.alara_presets import PRESETS as DOSE_PRESETS
from taskct.systems.alara.learned import load_dose
from taskct.task.readers import load_reader

LICENCE = "Apache-2.0, like the code"
COMPUTED = "none needed: computed by taskct, no patient's data"
SAME_DICE, SAME_PHOTONS = 0.001, 0.001
LIMITS = (
    "learnt from built-in patients only; nothing is claimed for patients",
    "one parallel beam and pixels of one size: other scans are refused",
    "a test instrument for methods, not a medical device",
)


PAGE = Path(__file__).with_name("models.md")
TRAINED_FOR = {
    "plain": "the image error alone",
    "feature": "the image error (weight .1) and the distance of the frozen reader's feature maps from those of full dose (.9)",
    "label-0.9": "the image error (weight .1) and the frozen reader's penalty on the labels (.9)",
}


def main(networks: Path, dose: Path) -> None:
    """Pack everything, and print what was measured."""
    settings = from_dict(TaskAdaptive, {k: v for k, v in load_run(networks).config["experiment"].items() if k != "name"})
    for net, name in READERS_OF_PACKAGE.items():
        step = f"reader-{net}"
        card = _card(networks, settings, step, kind="reader", what=_reader_words(settings, net), part="reader_patients")
        keep(networks / step, name, replace(card, figures=_figures_of_reader(networks, settings, net)), settings=settings)
    for arm, name in NETWORKS_OF_PACKAGE.items():
        words = (f"{MODELS[arm.model].label}, {LOSSES[arm.loss].label}", _purpose(settings, TRAINED_FOR[arm.loss]))
        card = _card(networks, settings, arm.name, kind="reconstruction", what=words, part="train_patients", base=arm.base)
        keep(
            networks / arm.name,
            name,
            replace(card, figures=_figures_of_network(networks, settings, arm.method)),
            settings=settings,
        )
    _dose(dose)
    write_table()
    total = sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file())
    print(f"{SHIPPED}: {total / 1e6:.2f} MB in all")


def write_table() -> None:
    """The table of docs/models.md, from the cards."""
    lines = ["| name | what | figures, with 95 % intervals over patients | MB |", "|---|---|---|---|"]
    for name in shipped_models():
        model = open_model(name)
        card = model.card
        assert card is not None
        shown = [f for f in card.figures if not f.what.startswith(("PSNR", "lesions")) and "the reader of the" not in f.what]
        words = "; ".join(f"{f.what}{f' at {f.photons:,.0f} photons' if f.photons else ''} {_number(f)}" for f in shown)
        if name.startswith("real-ct"):
            words = "[the table of its page](real-ct-network.md)"
        lines.append(f"| `{name}` | {card.title} | {words} | {model.weights.stat().st_size / 1e6:.2f} |")
    text = PAGE.read_text(encoding="utf-8")
    first, last = "<!-- networks -->", "<!-- end of networks -->"
    before, _, rest = text.partition(first)
    write_text(PAGE, before + first + "\n" + "\n".join(lines) + "\n" + last + rest.partition(last)[2], overwrite=True)


def _number(figure: Figure) -> str:
    _, _, verdict = figure.of.partition("verdict: ")
    return f"{figure} ({verdict})" if verdict else str(figure)


def keep(run: Path, name: str, card: Card, *, settings: TaskAdaptive) -> None:
    """Pack one network in half precision, after measuring that its figures stay the same."""
    whole, root = card, run.parent
    with tempfile.TemporaryDirectory() as place:
        half = pack_model(run, Path(place) / name, card=whole, half=True)
        full = pack_model(run, Path(place) / f"{name}-full", card=whole)
        found = [_pooled(folder, settings, root) for folder in (full, half)]
    apart = max(abs(a - b) for a, b in zip(*found, strict=True))
    kept = "half precision" if apart < SAME_DICE else "float32"
    print(f"{name}: Dice in float32 {_shown(found[0])}, in half precision {_shown(found[1])}; kept in {kept}")
    pack_model(run, SHIPPED / name, card=whole, half=apart < SAME_DICE, overwrite=True)


def _pooled(folder: Path, settings: TaskAdaptive, root: Path) -> list[float]:
    """Pooled tumour Dice on the test patients: of a reader on full dose, of a network by dose and unseen reader."""
    drawn = DrawnPatients(root / "images")
    images = drawn.images("test")
    assert images.labels is not None
    if open_model(folder).kind == "reader":
        return [_dice(read_images(load_reader(folder), images.mu), images.labels)]
    model, A, found = load_reconstructor(folder), projector_of(settings), []
    readers = [load_reader(root / f"reader-{net}") for net in settings.readers[1:]]
    for dose in doses_of(settings):
        mu = torch.cat(list(reconstruct_all(model, drawn.scans("test", settings), dose, A, seed=settings.seed)))
        found += [_dice(read_images(reader, mu), images.labels) for reader in readers]
    return found


def _dice(logits: torch.Tensor, labels: torch.Tensor) -> float:
    counted = count(winner(logits), labels, 2)
    tp, fp, fn = (float(n.sum()) for n in (counted.tp, counted.fp, counted.fn))
    return 2 * tp / (2 * tp + fp + fn)


def _card(
    root: Path, settings: TaskAdaptive, step: str, *, kind: str, what: tuple[str, str], part: str, base: str = ""
) -> Card:
    run = load_run(root / step)
    made, steps = run.provenance, int(run.config["training"]["steps"])
    patients = int(getattr(settings, part))
    return Card(
        kind=kind,
        title=what[0],
        purpose=what[1],
        licence=LICENCE,
        geometry=_geometry(run, settings, kind),
        photons=() if kind == "reader" else tuple(sorted(settings.photons)),
        steps=steps + (int(load_run(root / base).config["training"]["steps"]) if base else 0),
        training_data=(
            TrainingData(
                name=f"built-in abdominal patients, seed {settings.seed}",
                licence=COMPUTED,
                patients=patients,
                images=patients * settings.slices,
                where='taskct.Cohort("abdomen", ...)',
            ),
        ),
        limits=LIMITS,
        command=_command("task-adaptive", PRESETS, settings, step),
        commit=str(made["git_commit"]),
        created_utc=str(made["created_utc"]),
    )


def _command(name: str, presets: Mapping[str, Any], settings: Any, step: str) -> str:
    """The command that makes a step again: the preset, and what was set beside it."""
    preset = type(settings)(**presets["networks"])
    other = [f.name for f in fields(settings) if getattr(settings, f.name) != getattr(preset, f.name)]
    changes = "".join(f" --set {name}={getattr(settings, name)}" for name in other)
    return f"taskct reproduce {name} --preset networks{changes}; step {step}"


def _geometry(run: Run, settings: TaskAdaptive, kind: str) -> str:
    size = f"slices of {settings.size} x {settings.size} pixels of {cohort_of(settings).pixel_mm[0]:.2f} mm"
    if kind == "reader":
        return f"{size}, window 60/320 HU; bodies {settings.width_mm[0]:.0f} to {settings.width_mm[1]:.0f} mm wide"
    beam = run.config["beam"]
    return (
        f"parallel beam of {beam['views']} views over half a turn, {beam['cols']} columns of {beam['pixel_mm']:.2f} mm; {size}"
    )


def _reader_words(settings: TaskAdaptive, net: str) -> tuple[str, str]:
    first = net == settings.reader
    role = "the frozen reader in the task losses" if first else "a reader that no training of a reconstruction used"
    return f"{net}: {role}", f"segments liver and tumour in full-dose slices of the built-in abdomen; {role}"


def _purpose(settings: TaskAdaptive, about: str) -> str:
    low, high = min(settings.photons), max(settings.photons)
    return f"low-dose slices of the built-in abdomen from {low:,.0f} to {high:,.0f} photons; trained for: {about}"


def _figures_of_reader(root: Path, settings: TaskAdaptive, net: str) -> tuple[Figure, ...]:
    table = Table.read(root / "scores-full-dose")
    dose = next(iter(table.doses))
    found = [table.mean("dice_pooled", FULL_DOSE, dose=dose, region=region, reader=net) for region in ("tumour", "liver")]
    return tuple(
        Figure(what=f"Dice of the {region} at full dose", mean=round(i.mean, 4), low=round(i.low, 4), high=round(i.high, 4),
               of="test patients, pooled over them", patients=i.n_patients, images=i.n_patients * settings.slices)
        for region, i in zip(("tumour", "liver"), found, strict=True)
    )  # fmt: skip


def _figures_of_network(root: Path, settings: TaskAdaptive, method: str) -> tuple[Figure, ...]:
    scores = list(csv.DictReader((root / "report" / "summary.csv").open()))
    gains = list(csv.DictReader((root / "report" / "gains.csv").open()))
    words = {
        ("dice", UNSEEN): "Dice of the tumour of a patient, two unseen readers",
        ("froc@1", UNSEEN): "lesions found at one false alarm an image, unseen readers",
        ("dice_pooled", UNSEEN): "Dice of the tumour, pooled, two unseen readers",
        ("dice", "training"): "Dice of the tumour of a patient, the reader of the losses",
        ("psnr", "image"): "PSNR in dB",
    }
    found = [
        _figure(words[row["metric"], row["reader"]], row, "test patients", int(row["patients"]))
        for row in scores
        if row["method"] == method and (row["metric"], row["reader"]) in words
    ]
    found += [
        _figure(
            f"gain in the Dice of a patient over {row['baseline']}", row, f"test patients; verdict: {WORDS[row['verdict']]}", 0
        )
        for row in gains
        if row["method"] == method and row["score"] == "per patient"
    ]
    patients = max(f.patients for f in found)
    return tuple(replace(f, patients=patients, images=patients * settings.slices) for f in found)


def _judged(row: Mapping[str, str]) -> str:
    return f"test patients; verdict: {WORDS[row['verdict']]}; corrected p: {float(row['p_corrected']):.2g}"


def _figure(what: str, row: dict[str, Any], of: str, patients: int) -> Figure:
    mean, low, high = (round(float(row[k]), 4) for k in ("mean", "low", "high"))
    return Figure(what=what, mean=mean, low=low, high=high, photons=float(row["photons"]), of=of, patients=patients)


def _dose(root: Path) -> None:
    settings = from_dict(DoseExperiment, {k: v for k, v in load_run(root).config["experiment"].items() if k != "name"})
    step = "dose-fbp-noise-views-0"
    run = load_run(root / step)
    target, made = run.config["held"]["target"], run.provenance
    rows = [r for r in csv.DictReader((root / "report" / "summary.csv").open()) if r["held_by"] == "mean"]
    saved = "learned_minus_it_percent"
    figures = [
        Figure(what=f"photons against {row['strategy']} at equal mean ({target}), per cent", mean=round(float(row[saved]), 2),
               low=round(float(row[f"{saved}_low"]), 2), high=round(float(row[f"{saved}_high"]), 2),
               of="test patients", patients=settings.test_patients, images=settings.test_patients * settings.slices)
        for row in rows
        if row[saved] and not row["strategy"].startswith(("oracle", "learned"))
    ]  # fmt: skip
    low, fallback, high = settings.photons
    card = Card(
        kind="dose",
        title="photons by slice and view from a scout, for equal noise in the liver",
        purpose=f"chooses photons for each slice and view of the built-in abdomen before the scan, so that FBP keeps {target} "
        f"on average; outside of what it knows it answers with the fixed dose of {fallback:,.0f} photons",
        licence=LICENCE,
        geometry=f"parallel beam of {settings.views} views, slices of {settings.size} x {settings.size} pixels of "
        f"{run.config['grid']['spacing_mm'][0]:.2f} mm, {settings.slices} of a patient",
        photons=(low, high),
        steps=int(run.config["training"]["steps"]),
        cpu_minutes=round(float(read_record(root, step)["cpu_s"]) / 60, 1),
        training_data=(
            TrainingData(name=f"built-in abdominal patients, seed {settings.seed}", licence=COMPUTED,
                         patients=settings.train_patients, images=settings.train_patients * settings.slices,
                         where='taskct.Cohort("abdomen", ...)'),
        ),
        figures=tuple(figures),
        limits=(*LIMITS, "photons stand for dose; organ doses are not computed"),
        command=_command("dose", DOSE_PRESETS, settings, step),
        commit=str(made["git_commit"]),
        created_utc=str(made["created_utc"]),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        pair = [
            load_dose(pack_model(run, Path(place) / name, card=card, half=half)) for name, half in (("a", False), ("b", True))
        ]
        scouts = torch.rand(8, 2, settings.slices, int(run.config["beam"]["cols"]), generator=torch.Generator().manual_seed(0))
        angles = torch.arange(settings.views) * (torch.pi / settings.views)
        with torch.no_grad():
            found = [one.dose(scouts, slices=settings.slices, angles_rad=angles).photons for one in pair]
    apart = float((found[1] / found[0] - 1).abs().max())
    print(f"{DOSE_OF_PACKAGE}: photons in half precision differ by at most {100 * apart:.3f} %")
    pack_model(run, SHIPPED / DOSE_OF_PACKAGE, card=card, half=apart < SAME_PHOTONS, overwrite=True)


def _shown(values: list[float]) -> str:
    return ", ".join(f"{v:.4f}" for v in values)


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        write_table()
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
