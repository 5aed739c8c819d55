"""Where a stack of slices lies, whatever its headers round."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_files import save_stack

from taskct.data.dicom.series import read_series


@pytest.mark.parametrize("degrees", [20.0, -35.0])
@pytest.mark.parametrize("first", [(-90.25, -50.04), (-90.16, -50.06), (-90.24, -50.24)])
def test_an_oblique_stack_of_rounded_positions_lies_where_the_unrounded_one_does(tmp_path, degrees, first):
    """The rounding of the first slice alone, up to .05 mm along y and z, must not move the whole stack."""
    turn = np.deg2rad(degrees)
    down, normal = np.array([0.0, np.cos(turn), np.sin(turn)]), np.array([0.0, -np.sin(turn), np.cos(turn)])
    start, step_mm = np.array([-100.5, *first]), 0.625

    def place(number, made):
        made.ImageOrientationPatient = [1.0, 0.0, 0.0, *np.round(down, 9).tolist()]
        made.ImagePositionPatient = np.round(start + step_mm * number * normal, 1).tolist()

    save_stack(tmp_path, slices=40, change=place, SliceThickness=step_mm)
    case = read_series(tmp_path)
    assert any("rounded to 0.1 mm" in note for note in case.provenance["notes"])
    away = case.affine_mm[:3, 3][::-1] - start
    along_the_rounded_x = -100.5 - start[0]
    assert away[0] == pytest.approx(along_the_rounded_x, abs=1e-6)
    assert abs(away @ down) < 0.02 and abs(away @ normal) < 0.03  # 40 roundings of at most .07 mm, averaged
