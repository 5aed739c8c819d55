"""Writes the tables and the figure of docs/biplanar-real-heads.md: real heads as bi-planar cases, every row scored.

    python docs/make_biplanar_real_heads.py FOLDER runs/adults

FOLDER holds head_invesalius_cranium and head_vtk_headsq_lowres; skulls, geometry and networks are those of
`taskct reproduce biplanar --preset adults --out runs/adults`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d

from taskct import Dose, Projector, open_case
from taskct.core.config import from_dict
from taskct.core.runs import load_run
from taskct.core.units import to_hu
from taskct.evaluation import Table, window_named
from taskct.recon.agree import agree
from taskct.recon.learned import load_reconstructor
from taskct.report.pictures import to_grey
from taskct.simulate.radiograph import take_radiographs
from taskct.systems.biplanar.experiment import BiPlanar
from taskct.systems.biplanar.experiment.network_rows import ROWS, Training
from taskct.systems.biplanar.experiment.plain_rows import PLAIN
from taskct.systems.biplanar.experiment.shared_skulls import Skulls, geometry_of
from taskct.systems.biplanar.own_pair import PAIR_METHODS, Heads
from taskct.systems.biplanar.real_heads import Placement, placed_head, score_real_head

PAGE = Path(__file__).parent / "biplanar-real-heads.md"
HEADS = {
    "head_invesalius_cranium": ("ct.nii.gz", Placement(flips=(1,))),  # its rows run from back to face
    "head_vtk_headsq_lowres": ("ct_raw_units.nii.gz", Placement(flips=(0, 1), offset=1000.0, in_hu=False)),
}
COLUMNS = {"psnr3d": 2, "mae_hu": 0, "bone_dice": 3, "bone_surface_mm": 1, "reprojection_rms": 3, "seen_share": 3}
FIGURE = Path(__file__).parent / "figures" / "biplanar-real-head.png"
SHOWN = "head_vtk_headsq_lowres"  # BSD-3-Clause; only axial slices of it are shown
SHOWN_ROWS = ("tv", "gaussian", "nearest-registered")
HEIGHTS = (0.80, 0.68, 0.58)  # share of the volume's height
START, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"


def main() -> None:
    """Every head, every row, into the page between its marks."""
    folder, run = Path(sys.argv[1]), Path(sys.argv[2])
    stored = load_run(run).config["experiment"]
    settings = from_dict(BiPlanar, {k: v for k, v in stored.items() if k != "name"})
    A = geometry_of(settings, settings.views)
    drawn = Skulls(run / "skulls")
    known, held = (drawn.radiographs(part, settings).truth for part in ("train", "validation"))
    skulls = Heads(known, held, drawn.images("validation").mu, A.grid, A.grid.refined(settings.factor))
    networks = {
        ROWS[row].label: load_reconstructor(run / Training(row).name)
        for row in settings.main_nets
        if (run / Training(row).name).exists()
    }
    parts = []
    for name, (file, placement) in HEADS.items():
        mu = placed_head(open_case(folder / name / file), skulls, placement)
        if name == SHOWN:
            draw_slices(mu, skulls, A, networks)
        table = score_real_head(name, mu, skulls, A, rows=networks, in_hu=placement.in_hu)
        parts.append(f"### {name}\n\n{rows_of(table)}")
    text = PAGE.read_text()
    before, after = text.split(START)[0], text.split(END)[1]
    PAGE.write_text(before + START + "\n" + "\n".join(parts) + "\n" + END + after)


def draw_slices(mu_fine: Tensor, skulls: Heads, A: Projector, networks: Mapping[str, nn.Module]) -> None:
    """Axial slices of the truth on the answer's grid, of the prior alone, and of some rows after agreement."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    p = take_radiographs(mu_fine, A, Dose(1e5), seed=0, case_id=SHOWN, mu_grid=skulls.fine)
    columns = {
        f"truth, {A.grid.spacing_mm[0]:.1f} mm": avg_pool3d(mu_fine, 2),
        "prior alone": skulls.known.mean(0, keepdim=True),
    }
    with torch.no_grad():
        methods = {PLAIN[row].label: PAIR_METHODS[row](skulls.known) for row in SHOWN_ROWS} | dict(list(networks.items())[:1])
        for label, method in methods.items():
            columns[f"{label},\nagreement"] = agree(method(p, A), p, A, steps=20)
    figure, axes = pyplot.subplots(len(HEIGHTS), len(columns), figsize=(11, 2.25 * len(HEIGHTS)), layout="constrained")
    for number, (title, mu) in enumerate(columns.items()):
        hu = to_hu(mu)[0, 0]
        for place, height in zip(axes[:, number], HEIGHTS, strict=True):
            place.imshow(to_grey(hu[int(height * len(hu))], window_named("bone")), cmap="gray", vmin=0, vmax=255)
            place.set_axis_off()
        axes[0, number].set_title(title, fontsize=9)
    figure.savefig(FIGURE, dpi=80)


def rows_of(table: Table) -> str:
    """A table in Markdown, a line for each method."""
    metrics = [m for m in COLUMNS if m in table.metrics]
    lines = ["| row | " + " | ".join(table.label(m)["label"] for m in metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
    for method in table.methods:
        cells = []
        for metric in metrics:
            found = table.select(metric, method, 1.0)
            cells.append(f"{found[0].value:.{COLUMNS[metric]}f}" if found else "-")
        row, *agreed = method.split(" + ")
        label = PLAIN[row].label if row in PLAIN else row
        lines.append(f"| {' + '.join([label, *agreed])} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
