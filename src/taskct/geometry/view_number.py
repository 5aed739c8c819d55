"""How many views a detector can make use of, and the refusal of numbers that only cost time and memory."""

from __future__ import annotations

import math

from taskct.core.errors import GeometryError
from taskct.geometry.beams import Beam, ConeBeam, FanBeam, ParallelBeam, VectorBeam

_TIMES_TOO_MANY = 20
_NEVER_TOO_MANY = 20_000  # of few columns, so that they cost little


def useful_views(beam: ParallelBeam | FanBeam | ConeBeam) -> int:
    """Views beyond which the columns limit the resolution: pi/2 times the columns on each half turn of the arc.

    >>> from taskct.geometry.presets import clinical_fan
    >>> useful_views(clinical_fan())
    2313
    """
    return math.ceil(math.pi * beam.cols * abs(beam.arc_deg) / 360)


def sensible_views(beam: Beam) -> Beam:
    """The beam of a scan that is to be simulated, as it is.

    Raises GeometryError for more than twenty times as many views as its columns can make use of, from 20,000 on.
    """
    if isinstance(beam, VectorBeam):
        return beam
    useful = useful_views(beam)
    if beam.views > max(_TIMES_TOO_MANY * useful, _NEVER_TOO_MANY):
        raise GeometryError(
            f"{type(beam).__name__} of {beam.cols} columns over {beam.arc_deg:g} degrees is asked for {beam.views} views, of "
            f"which it can make use of about {useful} (pi/2 times its columns on a half turn); {_cost(beam)}; give fewer views"
        )
    return beam


def view_cost_words(beam: Beam) -> str:
    """What more views than twice the useful ones cost, in a sentence; "" for fewer."""
    if isinstance(beam, VectorBeam):
        return ""
    useful = useful_views(beam)
    if beam.views <= 2 * useful:
        return ""
    return f"{beam.views} views are more than the about {useful} that {beam.cols} columns can make use of; {_cost(beam)}"


def _cost(beam: ParallelBeam | FanBeam | ConeBeam) -> str:
    size = 4 * beam.views * beam.rows * beam.cols / 2**20
    return (
        f"they take {beam.views / useful_views(beam):.0f} times the time, and {size:.0f} MiB for the projections of each "
        f"{'slice' if beam.planar else 'volume'}"
    )
