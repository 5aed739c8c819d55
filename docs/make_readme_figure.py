"""Writes docs/figures/demo.png: what the demo's run folder holds, in one picture.

taskct demo --ct YOUR_CT --out runs/real && python docs/make_readme_figure.py runs/real
"""

from __future__ import annotations

import sys
from pathlib import Path

from taskct.evaluation import Table, window_named
from taskct.report.pictures import to_grey

OUT = Path(__file__).parent / "figures" / "demo.png"
METHODS, FRACTIONS = ("FBP", "FBP Hann", "CGLS", "TV"), (1.0, 0.1)


def main() -> None:
    """Truth at the left; one row per dose, one column per method; the error against the truth in each corner."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    table = Table.read(sys.argv[1])
    example, window = table.images[0], window_named("soft tissue")
    y, x = (slice(n // 12, -n // 12) for n in example.truth_hu.shape)
    figure, axes = pyplot.subplots(len(FRACTIONS), 1 + len(METHODS), figsize=(11, 4.0), layout="constrained")
    for row, fraction in zip(axes, FRACTIONS, strict=True):
        dose = next(d for d in table.doses if abs(d.fraction - fraction) < 1e-9)
        pictures = [("full dose, as read", example.truth_hu)]
        pictures += [(f"{method}, {fraction:.0%} dose", example.recon_hu[method, dose]) for method in METHODS]
        for place, (title, hu) in zip(row, pictures, strict=True):
            place.imshow(to_grey(hu.float()[y, x], window), cmap="gray", vmin=0, vmax=255)
            place.set_title(title, fontsize=9)
            place.set_axis_off()
            if title != "full dose, as read":
                error = (
                    (hu.float() - example.truth_hu.float())[example.mask]
                    if example.mask is not None
                    else hu - example.truth_hu
                )
                text = f"{error.square().mean().sqrt():.0f} HU RMS"
                place.text(0.02, 0.03, text, transform=place.transAxes, color="white", fontsize=8)
    figure.savefig(OUT, dpi=100)


if __name__ == "__main__":
    main()
