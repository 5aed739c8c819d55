"""The scores in the form of the published table: Dice by slice and by volume, per class and over classes, published beside.

Published (Sefercioglu et al., arXiv 2511.07094, LiTS): 0.874 for full dose, 0.707 for the best task-adaptive reconstruction,
0.626 for the best traditional method, 0.331 for joint training. Their split, slice selection and averaging are not stated, and
the challenge keeps its test labels to itself, so none of these can be compared with a split of the training volumes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

from taskct.core.errors import InputError
from taskct.core.names import photon_count
from taskct.evaluation.matrices import aligned, columns_of
from taskct.evaluation.rows import UNSEEN, DoseLevel
from taskct.evaluation.seeded import mean_of, seeded_bootstrap
from taskct.evaluation.statistics import Interval
from taskct.systems.adaptive.pages.story import TaskStory

PUBLISHED = {"full dose": 0.874, "task-adaptive, best": 0.707, "traditional, best": 0.626, "joint": 0.331}
NOT_COMPARABLE = "published on another split: not comparable"
UNITS = (("slice", "dice_slice"), ("volume", "dice"))
READERS = ("training", UNSEEN, "retrained", "own")
COLUMNS = ("method", "photons", "reader", "unit", "class", "dice", "low", "high", "volumes", "note")


def paper_rows(story: TaskStory) -> Iterator[dict[str, Any]]:
    """A row for each method, dose, kind of reader, unit (slice, volume) and class ("mean" over them); then those published."""
    organ = "liver"
    for method in story.table.methods:
        for dose in sorted({r.dose for r in story.table.rows if r.method == method}, key=lambda d: -d.used_photons):
            for role in READERS:
                names = story.table.of_role(role)
                if not names:
                    continue
                for unit, metric in UNITS:
                    for what, regions in ((organ, [organ]), (story.lesion, [story.lesion]), ("mean", [organ, story.lesion])):
                        found = mean_over_classes(story, metric, method, dose, regions=regions, readers=names)
                        if found is not None:
                            facts = (method, f"{dose.used_photons:g}", role, unit, what)
                            yield dict(
                                zip(COLUMNS, (*facts, found.mean, found.low, found.high, found.n_patients, ""), strict=True)
                            )
    for method, value in PUBLISHED.items():
        yield {
            "method": f"published: {method}", "photons": "", "reader": "training", "unit": "", "class": "", "dice": value,
            "low": float("nan"), "high": float("nan"), "volumes": "", "note": NOT_COMPARABLE,
        }  # fmt: skip


def mean_over_classes(
    story: TaskStory, metric: str, method: str, dose: DoseLevel, *, regions: Sequence[str], readers: Sequence[str]
) -> Interval | None:
    """Mean over classes and readers, each class over the patients who have all of them; None where it was not measured."""
    try:
        parts = [story.table.matrix(metric, method, dose=dose, region=region, reader=readers) for region in regions]
    except InputError:
        return None
    both = aligned(parts)
    statistic = lambda means: np.asarray(np.stack([mean_of(m) for m in columns_of(parts, means)], axis=-1).mean(-1))
    found = seeded_bootstrap(both.columns, statistic, trained=both.trained)
    return found.within(0.0, 1.0) if np.isfinite(found.mean) else None


def paper_section(story: TaskStory) -> str:
    """The table as HTML: by slice and by volume, liver, tumour and mean, under the reader of the losses and unseen ones."""
    rows = [r for r in paper_rows(story) if r["note"] == ""]
    if not rows:
        return ""
    classes = ("liver", story.lesion, "mean")
    columns = [(role, unit, what) for role in ("training", UNSEEN) for unit, _ in UNITS for what in classes]
    heads = "".join(
        f"<th>{'reader of the losses' if role == 'training' else 'unseen readers'}<br>{unit}, {escape(what)}</th>"
        for role, unit, what in columns
    )
    body = []
    for method, photons in dict.fromkeys((r["method"], r["photons"]) for r in rows):
        own = {(r["reader"], r["unit"], r["class"]): r for r in rows if (r["method"], r["photons"]) == (method, photons)}
        cells = "".join(_cell(own[c]) if c in own else "<td>–</td>" for c in columns)
        where = escape(photon_count(float(photons)))
        body.append(f"<tr><th scope='row' class='method'>{escape(method)}<small>{where} photons</small></th>{cells}</tr>")
    published = "; ".join(f"{name} {value:.3f}" for name, value in PUBLISHED.items())
    caption = (
        "<b>In the form of the published table</b>: Dice of a slice in which the class occurs, and of a volume, all pixels of "
        "its test slices together (of real data those whose labels show liver or tumour: marks elsewhere are not counted), "
        "mean over volumes with 95 % intervals; over classes the plain mean. Published (arXiv 2511.07094), on another split "
        f"and not comparable: {escape(published)}"
    )
    return (
        f"<div class='wide'><table class='numbers dense'><caption>{caption}</caption><thead><tr><th></th>{heads}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(row: dict[str, Any]) -> str:
    ends = f"<small>{row['low']:.3f} to {row['high']:.3f}</small>" if np.isfinite(row["low"] + row["high"]) else ""
    return f"<td>{row['dice']:.3f}{ends}</td>"
