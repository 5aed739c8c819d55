"""Pack the network of a chest run as the one that comes with the package, with its card: make_chest_model.py RUN_FOLDER

RUN_FOLDER is that of `taskct reproduce chest --preset first`. The figures on the card are measured with half-precision
weights on the test patients of the run, by the code that writes the tables.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from taskct.core.runs import load_run
from taskct.evaluation.influence import influence
from taskct.models import Card, Figure, TrainingData, pack_model
from taskct.models.package_models import SHIPPED
from taskct.systems.chest.chest_classes import LEAST_PIXELS
from taskct.systems.chest.chest_demo import CHEST_OF_PACKAGE
from taskct.systems.chest.chest_net import load_reader
from taskct.systems.chest.chest_scores import scores_of
from taskct.systems.chest.lung_crops import LungCrops
from taskct.systems.chest.reading_crops import read_crops

FIGURES = (
    "AUC nodule", "AUC nodule by boxes", "AUC infection", "AUC effusion", "CPM nodule", "AP10 nodule", "AP10 infection",
    "Dice nodules >= 8 mm", "Dice ground glass", "Dice consolidation", "Dice effusion",
)  # fmt: skip


def main() -> None:
    """Measure, write the card, pack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--step", default="first-longer-0")
    parser.add_argument("--cpu-minutes", type=float, help="of one core; by default as the steps were recorded")
    parser.add_argument("--commit", default="", help="with which it was trained; by default as the run recorded it")
    parser.add_argument("--limit", action="append", default=[], help="one more limit of the card; repeatable")
    chosen = parser.parse_args()
    trained, crops = load_run(chosen.run / chosen.step), LungCrops(chosen.run / "images")
    images, config = crops.images("test"), trained.config
    learnt = config["data"]
    steps = config["training"]["steps"]
    before = chosen.run / "first-0"
    if chosen.step != "first-0":
        steps += load_run(before).config["training"]["steps"]
    records = [chosen.run / ".steps" / f"{name}.json" for name in {"first-0", chosen.step}]
    seconds = sum(json.loads(path.read_text()).get("cpu_s", 0.0) for path in records if path.exists())
    card = Card(
        kind="task",
        title="chest CT with four heads: findings, areas, auto-encoding, boxes",
        purpose="reads lungs of the built-in chests at full dose: nodules, infection and effusion as findings, class maps and "
        "boxes; its frozen heads may stand in the loss of a reconstruction",
        licence="Apache-2.0, like the code",
        geometry="lungs of 96 x 80 pixels of 2 mm, a slice and its neighbours 4.5 mm before and behind as channels",
        steps=steps,
        cpu_minutes=chosen.cpu_minutes or round(seconds / 60, 1) or None,
        training_data=(
            TrainingData(
                name="built-in chests, seed 0",
                licence="none needed: computed by taskct, no patient's data",
                patients=int(learnt["patients"]),
                images=int(learnt["images"]),
                where='taskct.Cohort("chest", ...)',
            ),
        ),
        limits=(
            "learnt from built-in patients only; nothing is claimed for patients, and it was tested on none",
            "other pixels, thicker slices and images of low dose are outside of what it has seen",
            f"sections of nodules below {LEAST_PIXELS} pixels (12 mm2) were neither learnt nor scored",
            "scores of findings are those of batches in which lesions are common; they are too high elsewhere",
            "a test instrument for methods, not a medical device",
            *chosen.limit,
        ),
        command=f"taskct reproduce chest --preset first; step {chosen.step}",
        commit=chosen.commit or str(trained.provenance.get("git_commit") or ""),
        created_utc=str(trained.provenance.get("created_utc") or ""),
    )
    with tempfile.TemporaryDirectory() as place:
        half = pack_model(trained, Path(place) / CHEST_OF_PACKAGE, card=card, half=True)
        readings = read_crops(
            load_reader(half), images, crops.lesions("test"), pixel_mm=config["chest"]["pixel_mm"], slice_mm=186 / 41
        )
    patients, figures = len(readings.patients), []
    for name, score in scores_of(readings).items():
        if name in FIGURES:
            found = influence([score], patients).interval()
            ends = {"low": round(max(0.0, found.low), 4), "high": round(min(1.0, found.high), 4)}
            figures.append(
                Figure(
                    what=name,
                    mean=round(found.mean, 4),
                    **ends,
                    of="test patients, one training seed",
                    patients=patients,
                    images=len(images),
                )
            )
    whole = Card(**{**vars(card), "figures": tuple(figures)})
    pack_model(trained, SHIPPED / CHEST_OF_PACKAGE, card=whole, half=True, overwrite=True)
    print(whole.text())


if __name__ == "__main__":
    main()
