"""The Feldkamp-Davis-Kress method for circular cone scans."""

from __future__ import annotations

from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.geometry import ConeBeam
from taskct.physics.filters import FilterWindow
from taskct.physics.projector import Projector
from taskct.recon.checks import check_order
from taskct.recon.fbp import fbp


def fdk(p: Tensor, A: Projector, *, window: FilterWindow = "ram-lak", frequency_scale: float = 1.0) -> Tensor:
    """FDK: p (B, 1, V, R, C) of a circular cone scan -> mu (B, 1, Z, Y, X) in 1/mm; `fbp` of a ConeBeam is the same.

    Each detector row is weighed by the cosine of its rays, filtered along the columns as in a fan, and back-projected along
    the cone (Feldkamp, Davis & Kress, J. Opt. Soc. Am. A 1:612, 1984; on a cylindrical detector Turbell 2001, section 3.4).
    Exact in the plane of the source. Away from it, flat-topped objects lose attenuation as the cone angle grows; voxels
    outside the rows of a view get nothing from it.

    `window` is "ram-lak" (the plain ramp), "shepp-logan", "cosine", "hamming" or "hann", cut off at `frequency_scale` times
    Nyquist. Raises ConfigError for another window; raises GeometryError unless A's beam is a circular ConeBeam.
    """
    check_order(p, A, who="fdk")
    if not isinstance(A.beam, ConeBeam):
        name = type(A.beam).__name__
        raise GeometryError(f"fdk reconstructs a circular ConeBeam, got {name}; use fbp, sirt, cgls or tv_min")
    return fbp(p, A, window=window, frequency_scale=frequency_scale)
