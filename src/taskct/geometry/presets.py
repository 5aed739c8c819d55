"""Geometries of known scanners and data sets, each with its source."""

from __future__ import annotations

from taskct.geometry.beams import ConeBeam, FanBeam, ParallelBeam
from taskct.geometry.grid import Grid


def lodopab() -> tuple[Grid, ParallelBeam]:
    """LoDoPaB-CT: 362 x 362 pixels on 260 mm, 1000 parallel views over 180 deg, 513 pixels on 367.6 mm.

    Source: Leuschner et al., Sci. Data 8:109 (2021) and its `create_dataset.py`: domain [-0.13, 0.13]^2 m, detector
    [-0.1838, 0.1838] m, 1000 cell-centred angles pi (k + 1/2) / 1000. The stored arrays have x first: transpose them.
    """
    beam = ParallelBeam(views=1000, cols=513, pixel_mm=367.6 / 513, arc_deg=180.0, start_deg=0.09)
    return Grid((362, 362), 260.0 / 362), beam


def clinical_fan(*, views: int = 1152, cols: int = 736) -> FanBeam:
    """Central row of a SOMATOM Definition-like scanner: 595 and 1085.6 mm, 736 curved columns of 1.2858 mm, 1152 views.

    Source: geometry recorded in the DICOM-CT-PD headers of LDCT-and-Projection-data (Moen et al., Med. Phys. 48:902
    (2021)): DetectorElementTransverseSpacing 1.2858, DetectorFocalCenterRadialDistance 595, ConstantRadialDistance 1085.6.
    """
    return FanBeam(views=views, cols=cols, pixel_mm=1.2858, source_iso_mm=595.0, source_detector_mm=1085.6, curved=True)


def clinical_cone(*, views: int = 1152, cols: int = 736, rows: int = 64, pitch_mm: float = 0.0) -> ConeBeam:
    """The multi-row form of `clinical_fan`, rows of 1.0947 mm (0.6 mm at the isocentre); the same source."""
    return ConeBeam(
        views=views,
        cols=cols,
        rows=rows,
        pixel_mm=1.2858,
        row_mm=1.0947,
        source_iso_mm=595.0,
        source_detector_mm=1085.6,
        curved=True,
        pitch_mm=pitch_mm,
    )


PRESETS = {"lodopab": lodopab, "clinical_fan": clinical_fan, "clinical_cone": clinical_cone}
