"""DICOM, PNG and NIfTI give the same picture; what is none is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
import radiograph_files as files
from small_pair import (
    BODY,
    BOTH,
    GRID,
    P,
    dicom_pair,
)

from taskct import Projector
from taskct.core.errors import FileFormatError, InputError, UnsupportedDataError
from taskct.data.radiographs import read_radiographs


@pytest.mark.parametrize("kind", ["png", "nifti"])
def test_pictures_without_a_header_are_read_with_a_pose_file(tmp_path: Path, kind: str) -> None:
    names = []
    for k in range(2):
        if kind == "png":
            names.append(files.write_png(tmp_path / f"{k}.png", files.counts_of(P[0, 0, k])))
        else:
            names.append(files.write_nifti_picture(tmp_path / f"{k}.nii.gz", files.picture_of(P[0, 0, k])))
    pair = read_radiographs(*names, poses=BOTH, grey="intensity" if kind == "png" else "line integral")
    assert float((pair.p - P).abs().max()) < 0.01 and pair.patient == ""
    assert float((Projector(GRID, pair.beam)(BODY) - P).abs().max()) < 1e-4
    assert any("of one patient was assumed" in note for note in pair.notes)


def test_ct_slices_runs_of_frames_colour_and_damage_are_refused_by_file(tmp_path: Path) -> None:
    first, second = dicom_pair(tmp_path)
    ct = files.write_dicom(tmp_path / "ct.dcm", files.counts_of(P[0, 0, 0]), Modality="CT")
    with pytest.raises(UnsupportedDataError, match=r"ct.dcm: modality CT; expected a projection radiograph"):
        read_radiographs(ct, second)
    run = files.write_dicom(tmp_path / "run.dcm", files.counts_of(P[0, 0, 0]), NumberOfFrames=12)
    with pytest.raises(UnsupportedDataError, match="run of 12 frames"):
        read_radiographs(run, second)
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "colour.png")
    with pytest.raises(UnsupportedDataError, match="mode RGB"):
        read_radiographs(tmp_path / "colour.png", second)
    first_picture, next_picture = (Image.new("L", (8, 8), level) for level in (9, 90))
    first_picture.save(tmp_path / "run.png", save_all=True, append_images=[next_picture])
    with pytest.raises(UnsupportedDataError, match=r"run.png: an animated PNG of 2 pictures"):
        read_radiographs(tmp_path / "run.png", second)
    (tmp_path / "cut.png").write_bytes(files.write_png(tmp_path / "x.png", files.counts_of(P[0, 0, 0])).read_bytes()[:60])
    with pytest.raises(FileFormatError, match=r"cut.png"):
        read_radiographs(tmp_path / "cut.png", second)
    with pytest.raises(InputError, match="no such file"):
        read_radiographs(tmp_path / "none.dcm", second)
    (tmp_path / "text.dcm").write_text("hello")
    with pytest.raises(UnsupportedDataError, match="expected a radiograph"):
        read_radiographs(tmp_path / "text.dcm", second)
    assert read_radiographs(first, second)
