"""What a saving against a fixed dose is when the fixed dose does without the scout that all other doses are chosen by."""

from __future__ import annotations

import math

from taskct.core.names import photon_count
from taskct.report.number_text import MINUS
from taskct.systems.alara.rivals.outcomes import SCOUT, Comparison

_FIXED = "fixed"


def scout_counted(c: Comparison, learned: str) -> str:
    """That the fixed dose includes a scout which it could do without, and the saving then; '' where no scout is counted."""
    scout, names = float(c.notes.get(SCOUT, 0.0)), [o.strategy for o in c.outcomes]
    if not scout or learned not in names or _FIXED not in names:
        return ""
    gap = c.saved_without_scout(learned, _FIXED)
    ends = (gap.low, gap.high) if gap.mean >= 0 else (-gap.high, -gap.low)
    beside = f" ({ends[0]:.1f} to {ends[1]:.1f})".replace("-", MINUS) if math.isfinite(sum(ends)) else ""
    less = "fewer" if gap.mean < 0 else "more"
    return (
        f"Every dose here includes the scout's {photon_count(scout)} photons a view, which a fixed dose does not need: "
        f"without them in the fixed dose, the {learned} dose needs {abs(gap.mean):.1f} % {less} "
        f"photons{beside} than the fixed dose."
    )
