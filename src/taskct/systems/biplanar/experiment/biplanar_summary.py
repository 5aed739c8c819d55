"""The step that gathers: the tables of all rows that are done, leads over the best row without a network, CSV and page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from taskct.core.csv_cells import safe_cells
from taskct.core.errors import InputError
from taskct.core.files import make_folder, write_texts
from taskct.core.names import photon_count
from taskct.evaluation.merged_tables import merge_tables
from taskct.evaluation.rows import ALL, DoseLevel
from taskct.evaluation.table import Table
from taskct.experiments.made import Made
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.conditions import LOST, PRIOR, SECOND, SHUFFLED, poses_name
from taskct.systems.biplanar.experiment.example_skulls import example_skulls
from taskct.systems.biplanar.experiment.network_rows import ROWS
from taskct.systems.biplanar.experiment.plain_rows import PLAIN
from taskct.systems.biplanar.experiment.row_scores import AGREED, RowScores
from taskct.systems.biplanar.experiment.shared_skulls import Skulls
from taskct.systems.biplanar.pages.biplanar_page import write_biplanar_report
from taskct.systems.biplanar.pages.biplanar_story import BiPlanarStory, Lead

LEAD_METRICS = ("psnr3d", "bone_dice", "mae_hu", "bone_surface_mm")


def gather(folder: Path, *, settings: BiPlanar, skulls: Made[Skulls], scores: Sequence[Made[RowScores]]) -> None:
    """Write report.html, table.csv, summary.csv, leads.csv and summary.txt from the scores that are there."""
    story = gathered(settings=settings, skulls=skulls, scores=scores)
    make_folder(folder)
    texts = {
        "table.csv": story.table.csv_text(),
        "summary.csv": summary_csv(story.table),
        "leads.csv": leads_csv(story.leads),
        "summary.txt": "\n".join(story.lines) + "\n",
    }
    write_texts(folder, texts, overwrite=True)
    write_biplanar_report(story, folder / "report.html", overwrite=True)


def gathered(*, settings: BiPlanar, skulls: Made[Skulls], scores: Sequence[Made[RowScores]]) -> BiPlanarStory:
    """Everything that the page tells."""
    done = [one.load() for one in scores if one.done]
    if not done:
        raise InputError("no row is scored yet; resume the experiment first")
    table = merge_tables([one.table for one in done], settings={"metrics": _metrics(done)})
    dose = DoseLevel(1.0, settings.photons)
    plain = [name for row in PLAIN.values() for name in (row.label, row.label + AGREED) if _has(table, name, dose)]
    known = [*settings.package, *(row.label for row in ROWS.values())]
    nets = [name for label in known for name in (label, label + AGREED) if _has(table, name, dose)]
    best = max(plain, key=lambda m: table.mean("psnr3d", m, dose=dose).mean, default=None)
    leads = [] if best is None else [
        Lead(name, best, {m: table.paired(m, name, best, dose=dose) for m in LEAD_METRICS}) for name in nets
    ]  # fmt: skip
    kept = {str(one.about["method"]): one.folder for one in done if (one.folder / "examples.safetensors").exists()}
    conditions = (SHUFFLED, LOST, PRIOR, SECOND, *(poses_name(error) for error in settings.pose_errors))
    return BiPlanarStory(
        table=table,
        dose=dose,
        methods=[*plain, *nets],
        best_plain=best,
        leads=leads,
        conditions=conditions,
        facts={str(one.about["method"]): one.about for one in done},
        examples=example_skulls(skulls.load().folder, settings, kept, best_plain=best, networks=nets) if skulls.done else [],
        settings=settings,
    )


def summary_csv(table: Table) -> str:
    """One line per method, condition, dose and metric: mean over skulls (and seeds) with its interval."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("method", "photons", "metric", "region", "mean", "low", "high", "skulls", "seeds"))
    for found in table.summary(region=None):
        i = found.interval
        ends = ["" if i.n_patients < 2 else f"{v:.6g}" for v in (i.low, i.high)]
        cells = (found.method, photon_count(found.dose.used_photons), found.metric, found.region, f"{i.mean:.6g}", *ends)
        writer.writerow(safe_cells((*cells, i.n_patients, i.n_seeds or "")))
    return text.getvalue()


def leads_csv(leads: Sequence[Lead]) -> str:
    """Paired differences of each network from the best row without one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("network", "minus", "metric", "difference", "low", "high", "skulls", "seeds"))
    for lead in leads:
        for metric, i in lead.differences.items():
            cells = (lead.method, lead.baseline, metric, f"{i.mean:.6g}", f"{i.low:.6g}", f"{i.high:.6g}")
            writer.writerow(safe_cells((*cells, i.n_patients, i.n_seeds or "")))
    return text.getvalue()


def _has(table: Table, method: str, dose: DoseLevel) -> bool:
    return any(r.method == method and r.dose == dose and r.region == ALL and r.metric == "psnr3d" for r in table.rows)


def _metrics(done: Sequence[RowScores]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for one in done:
        found |= one.table.settings["metrics"]
    return found
