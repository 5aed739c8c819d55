"""The step that gathers: the tables of all rows that are done, leads over the best row without a network, CSV and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taskct.core.csv_cells import csv_lines
from taskct.core.errors import InputError
from taskct.core.files import make_folder, write_texts
from taskct.core.units import HU_PER_MU
from taskct.evaluation.merged_tables import merge_tables
from taskct.evaluation.rows import ALL, DoseLevel
from taskct.evaluation.statistics import Interval
from taskct.evaluation.table import Table
from taskct.evaluation.volumes.volume_metrics import about_metric
from taskct.experiments.made import Made
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.block_pairs import block_gains
from taskct.systems.biplanar.experiment.conditions import LOST, PRIOR, SECOND, SHUFFLED, poses_name
from taskct.systems.biplanar.experiment.example_skulls import example_skulls
from taskct.systems.biplanar.experiment.network_rows import ROWS
from taskct.systems.biplanar.experiment.plain_rows import PLAIN
from taskct.systems.biplanar.experiment.refined_rows import refined_name
from taskct.systems.biplanar.experiment.row_scores import AGREED, RowScores
from taskct.systems.biplanar.experiment.shared_skulls import Skulls
from taskct.systems.biplanar.pages.biplanar_page import write_biplanar_report
from taskct.systems.biplanar.pages.biplanar_story import BiPlanarStory, BlockGain, Curve, Lead, RefinedPoses

LEAD_METRICS = ("psnr3d", "bone_dice", "mae_hu", "bone_surface_mm")


def gather(
    folder: Path,
    *,
    settings: BiPlanar,
    skulls: Made[Skulls],
    scores: Sequence[Made[RowScores]],
    more: Sequence[Made[RowScores]] = (),
    curves: Mapping[str, Made[Curve]] | None = None,
) -> None:
    """Write the page, summary.txt and the tables (table, summary, leads, blocks, spread, poses, curves) of what is there."""
    story = gathered(settings=settings, skulls=skulls, scores=scores, more=more, curves=curves or {})
    make_folder(folder)
    texts = {
        "table.csv": story.table.csv_text(),
        "summary.csv": summary_csv(story.table),
        "leads.csv": leads_csv(story.leads),
        "blocks.csv": blocks_csv(story.blocks),
        "spread.csv": spread_csv(story.spreads),
        "poses.csv": poses_csv(story.refined),
        "curves.csv": curves_csv(story.curves),
        "summary.txt": "\n".join(story.lines) + "\n",
    }
    write_texts(folder, texts, overwrite=True)
    write_biplanar_report(story, folder / "report.html", overwrite=True)


def gathered(
    *,
    settings: BiPlanar,
    skulls: Made[Skulls],
    scores: Sequence[Made[RowScores]],
    more: Sequence[Made[RowScores]],
    curves: Mapping[str, Made[Curve]],
) -> BiPlanarStory:
    """Everything that the page tells."""
    done = [one.load() for one in scores if one.done]
    if not done:
        raise InputError("no row is scored yet; resume the experiment first")
    added = [one.load() for one in more if one.done]
    tables = [one.table for one in (*done, *added)]
    table = merge_tables(tables, settings={"metrics": metrics_of(tables)})
    dose = DoseLevel(1.0, settings.photons)
    plain = [name for row in PLAIN.values() for name in (row.label, row.label + AGREED) if _has(table, name, dose)]
    known = [*settings.package, *(row.label for row in ROWS.values())]
    nets = [name for label in known for name in (label, label + AGREED) if _has(table, name, dose)]
    best = max(plain, key=lambda m: table.mean("psnr3d", m, dose=dose).mean, default=None)
    leads = [] if best is None else [
        Lead(name, best, {m: table.paired(m, name, best, dose=dose) for m in LEAD_METRICS}) for name in nets
    ]  # fmt: skip
    kept = {str(one.about["method"]): one.folder for one in done if (one.folder / "examples.safetensors").exists()}
    spreads = {str(one.about["method"]): one.folder for one in added if "spread" in one.about}
    conditions = (SHUFFLED, LOST, PRIOR, SECOND, *(poses_name(error) for error in settings.pose_errors))
    return BiPlanarStory(
        table=table,
        dose=dose,
        methods=[*plain, *nets],
        best_plain=best,
        leads=leads,
        conditions=conditions,
        facts={str(one.about["method"]): one.about for one in done},
        examples=example_skulls(skulls.load().folder, settings, kept, spreads, best_plain=best, networks=nets)
        if skulls.done
        else [],
        settings=settings,
        blocks=block_gains(table, dose),
        spreads={str(one.about["method"]): one.about["spread"] for one in added if "spread" in one.about},
        refined=_refined(added, settings),
        curves={name: curve for name, one in curves.items() if one.done and (curve := one.load()).steps},
        missing=[one.name for one in (*scores, *more) if not one.done],
    )


def _refined(added: Sequence[RowScores], settings: BiPlanar) -> list[RefinedPoses]:
    """Every row that refined wrong poses."""
    return [
        RefinedPoses(str(one.about["method"]), error, poses_name(error), refined_name(error), one.about[refined_name(error)])
        for one in added
        for error in settings.pose_errors
        if refined_name(error) in one.about
    ]


def summary_csv(table: Table) -> str:
    """One line per method, condition, dose and metric: mean over skulls (and seeds) with its interval."""
    lines: list[tuple[object, ...]] = [("method", "photons", "metric", "region", "mean", "low", "high", "skulls", "seeds")]
    for found in table.summary(region=None):
        i = found.interval
        ends = ["" if i.n_patients < 2 else f"{v:.6g}" for v in (i.low, i.high)]
        cells = (found.method, f"{found.dose.used_photons:.10g}", found.metric, found.region, f"{i.mean:.6g}", *ends)
        lines.append((*cells, i.n_patients, i.n_seeds or ""))
    return csv_lines(lines)


def leads_csv(leads: Sequence[Lead]) -> str:
    """Paired differences of each network from the best row without one."""
    heads = ("network", "minus", "metric", "difference", "low", "high", "skulls", "seeds")
    return csv_lines(
        [heads, *((one.method, one.baseline, *_cells(m, i)) for one in leads for m, i in one.differences.items())]
    )


def blocks_csv(blocks: Sequence[BlockGain]) -> str:
    """Paired differences of rows that differ in one block."""
    heads = ("block", "with", "without", "metric", "difference", "low", "high", "skulls", "seeds")
    lines = [(one.block, one.with_it, one.without, *_cells(m, i)) for one in blocks for m, i in one.differences.items()]
    return csv_lines([heads, *lines])


def spread_csv(spreads: Mapping[str, Mapping[str, Any]]) -> str:
    """Reliability curves in HU of water, by bins of voxels with similar spread; ratio and shares are those of all voxels."""
    heads = ("method", "factor", "error_over_spread", "within_one", "within_two", "bin", "spread_hu", "error_hu")
    lines = [
        (
            name,
            f"{f['factor']:.4g}",
            f"{f['ratio']:.4g}",
            *(f"{w:.4g}" for w in f["within"]),
            k,
            f"{HU_PER_MU * s:.4g}",
            f"{HU_PER_MU * e:.4g}",
        )
        for name, f in spreads.items()
        for k, (s, e) in enumerate(zip(f["spread"], f["error"], strict=True))
    ]
    return csv_lines([heads, *lines])


def poses_csv(refined: Sequence[RefinedPoses]) -> str:
    """Root mean square errors of the poses per axis before refinement and after it."""
    names = ("turn_deg", "turn_left_deg", "shift_mm", "shift_left_mm")
    lines = [(one.method, f"{one.error:g}", *(f"{one.left[n]:.4g}" for n in names)) for one in refined]
    return csv_lines([("method", "sd", *names), *lines])


def curves_csv(curves: Mapping[str, Curve]) -> str:
    """Validation score by steps of every training."""
    lines = [(name, s, f"{v:.4f}") for name, c in curves.items() for s, v in zip(c.steps, c.psnr3d, strict=True)]
    return csv_lines([("training", "steps", "psnr3d"), *lines])


def _cells(metric: str, i: Interval) -> tuple[Any, ...]:
    return (metric, f"{i.mean:.6g}", f"{i.low:.6g}", f"{i.high:.6g}", i.n_patients, i.n_seeds or "")


def _has(table: Table, method: str, dose: DoseLevel) -> bool:
    return any(r.method == method and r.dose == dose and r.region == ALL and r.metric == "psnr3d" for r in table.rows)


def metrics_of(tables: Sequence[Table]) -> dict[str, dict[str, Any]]:
    """What tables say of their metrics; the bounds where intervals end are today's, which steps of long ago do not hold."""
    found: dict[str, dict[str, Any]] = {}
    for table in tables:
        found |= table.settings["metrics"]
    ends = {name: about_metric(name).get("bounds") for name in found}
    return {name: {**about, **({"bounds": ends[name]} if ends[name] else {})} for name, about in found.items()}
