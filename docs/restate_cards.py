"""Restate the cards of the abdomen's reconstructions by today's rule for verdicts, as far as what they hold allows.

    python docs/restate_cards.py      rewrites src/taskct/models/shipped/abdomen-{lpd,lpd-label,unet,unet-feature}/card.toml

Their gains are of pooled Dice under two unseen readers, judged before verdicts were corrected for the number of comparisons.
The experiment makes 18 comparisons by today's rule, and the cards hold six of their gains. So Holm's correction cannot be
computed; the p of each interval (`p_of`, 40 patients) times 18 bounds it from above. Today's rule asks for the Dice of a
patient, which the cards do not hold, so it confirms neither a gain nor a loss of pooled Dice alone.
"""

from __future__ import annotations

from dataclasses import replace

from restate_task_adaptive import LEVEL, p_of

from taskct.core.files import write_text
from taskct.models import Figure, open_model
from taskct.models.package_models import SHIPPED

NAMES = ("abdomen-lpd", "abdomen-lpd-label", "abdomen-unet", "abdomen-unet-feature")
COMPARISONS = 18
LIMIT = (
    f"Dice is that of all patients' pixels together (pooled), p corrected for {COMPARISONS} comparisons (Holm) as far as the "
    "intervals give it; verdicts need the Dice of a patient, which was not kept: no gain is confirmed here; taskct demo "
    "measures it"
)
OLD = "verdict: "


def restated(figure: Figure) -> Figure:
    """A figure of a card that says that its Dice is pooled, and a gain with its verdict by today's rule."""
    what = figure.what.replace("Dice of the tumour, t", "Dice of the tumour, pooled, t")
    what = what.replace("in that Dice", "in that pooled Dice")
    if not figure.of.startswith(OLD) or figure.low is None or figure.high is None:
        return replace(figure, what=what)
    most = min(1.0, COMPARISONS * p_of(figure.mean, figure.low, figure.high))
    words = {
        "threshold": "threshold shift",
        "confirmed": "not confirmed (pooled Dice only)",
        "harm": "worse in pooled Dice only" if most < LEVEL else "worse, not confirmed",
    }[figure.of.removeprefix(OLD)]
    p = "below 0.001" if most < 0.001 else f"at most {most:.2g}"
    return replace(figure, what=what, of=f"test patients; {OLD}{words}; corrected p: {p}")


def main() -> None:
    """Rewrite the cards that are not restated yet."""
    for name in NAMES:
        card = open_model(name).card
        assert card is not None
        if LIMIT not in card.limits:
            new = replace(card, figures=tuple(map(restated, card.figures)), limits=(*card.limits, LIMIT))
            write_text(SHIPPED / name / "card.toml", new.text(), overwrite=True)
            print(f"{name}: {' / '.join(f.of for f in new.figures if OLD in f.of) or 'no verdict'}")


if __name__ == "__main__":
    main()
