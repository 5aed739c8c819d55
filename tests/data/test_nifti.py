from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.errors import DataError, FileFormatError, OutputExistsError, UnsupportedDataError
from taskct.data.case import Case
from taskct.data.nifti import read_nifti, write_nifti, write_nifti_labels


def _case(**kwargs) -> Case:
    draw = torch.Generator().manual_seed(0)
    hu = torch.randint(-1024, 3000, (3, 4, 5), generator=draw).float()
    affine = np.diag([2.5, 0.7, 0.8, 1.0])
    affine[:3, 3] = [-30.0, 12.0, 7.0]
    return Case(hu=hu, spacing_mm=(2.5, 0.7, 0.8), affine_mm=affine, **kwargs)


def _write_plain(path: Path, values: np.ndarray, affine: np.ndarray | None = None, **header) -> Path:
    image = nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def _damage(path: Path, offset: int, packed: bytes) -> Path:
    raw = bytearray(path.read_bytes())
    raw[offset : offset + len(packed)] = packed
    path.write_bytes(raw)
    return path


# laws ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_writing_and_reading_again_is_the_identity(tmp_path, suffix, shift):
    case = _case()
    case = case.with_hu(case.hu + shift)
    write_nifti(case, tmp_path / f"ct{suffix}")
    again = read_nifti(tmp_path / f"ct{suffix}")
    assert torch.equal(again.hu, case.hu) and again.case_id == "ct"
    assert np.allclose(again.affine_mm, case.affine_mm, atol=1e-5)  # the header is float32
    assert nibabel.load(tmp_path / f"ct{suffix}").get_data_dtype() == (np.int16 if shift == 0 else np.float32)


def test_the_same_case_gives_the_same_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(_case(), tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@settings(deadline=None, max_examples=24)
@given(order=st.permutations([0, 1, 2]), signs=st.tuples(*[st.sampled_from([-1, 1])] * 3))
def test_any_stored_axis_order_gives_the_identical_volume(tmp_path_factory, order, signs):
    path = tmp_path_factory.mktemp("nifti") / "ct.nii"
    case = _case()
    write_nifti(case, path)
    image = nibabel.load(path)
    turned = image.as_reoriented(np.stack([order, signs], axis=1))
    nibabel.save(turned, path.with_name("turned.nii"))  # not onto the file that the values are mapped from
    again = read_nifti(path.with_name("turned.nii"))
    assert torch.equal(again.hu, case.hu)
    assert np.allclose(again.affine_mm, case.affine_mm, atol=1e-5)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["abdomen_totalseg_3mm", "abdomen_totalseg_siemens20"])
def test_a_real_volume_agrees_with_simpleitk(real_data, name):
    itk = pytest.importorskip("SimpleITK")
    case = read_nifti(real_data / name / "ct.nii.gz")
    image = itk.DICOMOrient(itk.ReadImage(str(real_data / name / "ct.nii.gz")), "LPS")
    assert np.array_equal(itk.GetArrayFromImage(image).astype(np.float32), case.hu.numpy())
    assert np.allclose(image.GetSpacing()[::-1], case.spacing_mm, atol=1e-5)
    assert np.allclose(image.GetOrigin()[::-1], case.affine_mm[:3, 3], atol=1e-3)  # float32 of the header, at 500 mm
    direction = np.array(image.GetDirection()).reshape(3, 3)[::-1, ::-1]
    assert np.allclose(direction * case.spacing_mm, case.affine_mm[:3, :3], atol=1e-5)


# contracts ----------------------------------------------------------------------------------------------------------


def test_nifti_world_right_anterior_becomes_left_posterior(tmp_path):
    values = np.zeros((4, 5, 6), dtype=np.int16)
    values[0, 4, 5] = 100  # most left in an array that runs to the right: index 0; most anterior; most superior
    case = read_nifti(_write_plain(tmp_path / "a.nii", values))
    assert case.hu[5, 0, 3] == 100  # highest z; y to the back, so anterior is 0; x to the left
    assert case.affine_mm[:3, 3].tolist() == [0.0, -4.0, -3.0]


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8", ">i2", ">f4"])
def test_every_number_type_is_read(tmp_path, dtype):
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    header = nibabel.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
    header.set_data_dtype(np.dtype(dtype))
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-1, -1, 1, 1]), header), tmp_path / "a.nii")
    assert np.array_equal(read_nifti(tmp_path / "a.nii").hu.numpy(), values.transpose(2, 1, 0))


def test_nifti_2_is_read(tmp_path):
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti2Image(values, np.diag([-1, -1, 1, 1])), tmp_path / "a.nii.gz")
    assert np.array_equal(read_nifti(tmp_path / "a.nii.gz").hu.numpy(), values.transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("slope", "inter", "expected"),
    [(1.0, -1024.0, -1014.0), (0.0, 7.0, 10.0), (np.nan, np.nan, 10.0), (2.0, np.nan, 20.0), (0.5, 1.0, 6.0)],
)
def test_the_scale_of_the_header_is_applied_unless_it_is_zero_or_nan(tmp_path, slope, inter, expected):
    path = _write_plain(tmp_path / "a.nii", np.full((2, 3, 4), 10, dtype=np.int16))
    _damage(path, 112, struct.pack("<ff", slope, inter))
    assert torch.all(read_nifti(path).hu == expected)


def test_padding_becomes_air_and_odd_values_are_noted(tmp_path):
    values = np.zeros((4, 4, 4), dtype=np.int16)
    values[0], values[1] = -3024, -1000
    case = read_nifti(_write_plain(tmp_path / "a.nii", values))
    assert case.hu.min() == -1000 and any("-3024" in n for n in case.provenance["notes"])
    case = read_nifti(_write_plain(tmp_path / "b.nii", np.abs(values)))
    assert any("may not be HU" in n for n in case.provenance["notes"])


def test_the_deep_noise_of_our_own_files_is_not_taken_for_padding(tmp_path):
    noisy = _case().with_hu(torch.linspace(-4000, 1000, 60).reshape(3, 4, 5))
    write_nifti(noisy, tmp_path / "low_dose.nii.gz")
    assert torch.equal(read_nifti(tmp_path / "low_dose.nii.gz").hu, noisy.hu)


def test_sform_and_qform_that_disagree_are_noted_and_the_sform_wins(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), dtype=np.int16), np.diag([2.0, 2.0, 2.0, 1.0]))
    image.set_qform(np.eye(4), code=1)
    image.set_sform(np.diag([2.0, 2.0, 2.0, 1.0]), code=1)
    nibabel.save(image, tmp_path / "a.nii")
    case = read_nifti(tmp_path / "a.nii")
    assert case.spacing_mm == (2.0, 2.0, 2.0) and any("sform and qform" in n for n in case.provenance["notes"])


def test_an_unrecorded_orientation_is_noted(tmp_path):
    path = _write_plain(tmp_path / "a.nii", np.zeros((4, 4, 4), dtype=np.int16))
    _damage(path, 252, struct.pack("<hh", 0, 0))  # qform_code, sform_code
    assert any("no orientation" in n for n in read_nifti(path).provenance["notes"])


def test_labels_are_written_in_the_smallest_type(tmp_path):
    case = _case(labels=torch.arange(60).reshape(3, 4, 5))
    write_nifti_labels(case, tmp_path / "l.nii.gz")
    assert nibabel.load(tmp_path / "l.nii.gz").get_data_dtype() == np.uint8
    with pytest.raises(OutputExistsError, match="overwrite"):
        write_nifti_labels(case, tmp_path / "l.nii.gz")


# bad input ----------------------------------------------------------------------------------------------------------


def _good(tmp_path: Path) -> Path:
    return _write_plain(tmp_path / "a.nii", np.arange(1000, dtype=np.int16).reshape(10, 10, 10))


def _refused(path: Path, error: type[DataError], reason: str, **kwargs) -> None:
    with pytest.raises(error, match=reason) as caught:
        read_nifti(path, **kwargs)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_text_file_named_nii_is_refused(tmp_path):
    (tmp_path / "a.nii").write_text("not an image")
    _refused(tmp_path / "a.nii", FileFormatError, "not NIfTI")


@pytest.mark.parametrize("keep", [100, 400, 1500])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = _good(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    _refused(path, FileFormatError, "truncated|not NIfTI")


def test_a_truncated_gzip_is_refused(tmp_path):
    whole = gzip.compress(_good(tmp_path).read_bytes())
    (tmp_path / "a.nii.gz").write_bytes(whole[: len(whole) - 40])
    _refused(tmp_path / "a.nii.gz", FileFormatError, "compressed stream")


def test_a_gzip_with_a_wrong_check_sum_is_refused(tmp_path):
    whole = bytearray(gzip.compress(_good(tmp_path).read_bytes()))
    whole[-8] ^= 255
    (tmp_path / "a.nii.gz").write_bytes(whole)
    _refused(tmp_path / "a.nii.gz", FileFormatError, "compressed stream")


def test_a_header_that_declares_more_than_the_file_holds_is_refused_before_allocation(tmp_path):
    path = _damage(_good(tmp_path), 42, struct.pack("<hhh", 2000, 2000, 1000))
    _refused(path, FileFormatError, "cannot hold more")
    packed = tmp_path / "b.nii.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    _refused(packed, FileFormatError, "cannot hold more")


def test_a_volume_above_the_limit_is_refused(tmp_path):
    _refused(_damage(_good(tmp_path), 42, struct.pack("<hhh", 32000, 32000, 32000)), FileFormatError, "above the limit")
    _refused(_good(tmp_path), FileFormatError, "above the limit", limit_bytes=1000)


def test_a_small_file_that_inflates_far_beyond_its_header_is_refused(tmp_path):
    bomb = _good(tmp_path).read_bytes() + b"\0" * 2**25
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bomb))
    assert (tmp_path / "a.nii.gz").stat().st_size < 2**16
    _refused(tmp_path / "a.nii.gz", FileFormatError, "more than its header declares")


def test_four_dimensions_are_refused_with_the_number_of_volumes(tmp_path):
    path = _write_plain(tmp_path / "a.nii", np.zeros((4, 4, 4, 7), dtype=np.int16))
    _refused(path, UnsupportedDataError, "7 volumes")


@pytest.mark.parametrize("code", [1, 32, 128, 2304, 9999])
def test_colour_complex_and_unknown_types_are_refused(tmp_path, code):
    _refused(_damage(_good(tmp_path), 70, struct.pack("<h", code)), UnsupportedDataError, f"data type {code}")


@pytest.mark.parametrize("dims", [(0, 1, 1, 1), (9, 4, 4, 4), (3, -4, 4, 4), (3, 0, 4, 4)])
def test_impossible_dimensions_are_refused(tmp_path, dims):
    _refused(_damage(_good(tmp_path), 40, struct.pack("<hhhh", *dims)), FileFormatError, "impossible dimensions")


def test_an_affine_with_nan_is_refused(tmp_path):
    _refused(_damage(_good(tmp_path), 280, struct.pack("<f", np.nan)), FileFormatError, "sform holds NaN")


def test_sheared_axes_are_refused(tmp_path):
    affine = np.eye(4)
    affine[1, 2] = np.tan(np.deg2rad(10))
    path = _write_plain(tmp_path / "a.nii", np.zeros((4, 4, 4), dtype=np.int16), affine)
    _refused(path, UnsupportedDataError, "sheared by 10")


def test_values_that_are_not_finite_are_refused(tmp_path):
    values = np.zeros((4, 4, 4), dtype=np.float32)
    values[1, 1, 1] = np.nan
    _refused(_write_plain(tmp_path / "a.nii", values), FileFormatError, "1 NaN")
    _refused(_write_plain(tmp_path / "b.nii", np.full((4, 4, 4), 1e300)), FileFormatError, "float32")


def test_a_pair_of_files_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Pair(np.zeros((4, 4, 4), dtype=np.int16), np.eye(4)), tmp_path / "a.hdr")
    _refused(tmp_path / "a.hdr", UnsupportedDataError, "pair")


def test_values_that_begin_beyond_reason_are_refused(tmp_path):
    for offset in (3.0, 1e30, np.nan, -1.0):
        _refused(_damage(_good(tmp_path), 108, struct.pack("<f", offset)), FileFormatError, "begin at byte")


@pytest.mark.parametrize("shape", [(1, 1, 5), (1, 5, 1), (5, 1, 1), (1, 1, 1)])
def test_volumes_of_one_voxel_along_flipped_axes_are_read(tmp_path, shape):
    values = np.linspace(-1000, 200, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    case = read_nifti(_write_plain(tmp_path / "thin.nii", values))
    assert sorted(case.hu.flatten().tolist()) == sorted(values.flatten().tolist())


def test_normalised_values_are_refused_as_a_ct(tmp_path):
    values = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    with pytest.raises(DataError, match="normalised or attenuation"):
        read_nifti(_write_plain(tmp_path / "unit.nii", values))


@pytest.mark.parametrize("thickness", [1.0, 2.5, 0.0])
@pytest.mark.parametrize("code", [0, 1])
def test_a_2d_image_has_a_thickness_that_is_told_to_be_assumed(tmp_path, thickness, code):
    values = np.arange(-1000, -1000 + 5 * 60, 10, dtype=np.int16).reshape(6, 5)
    image = nibabel.Nifti1Image(values, np.diag([-0.5, -0.75, thickness or 1.0, 1.0]))
    header = image.header
    header.set_xyzt_units("mm")
    header["pixdim"][3] = thickness
    header["sform_code"], header["qform_code"] = code, 0
    header["srow_z"] = [0, 0, thickness, 0]
    nibabel.save(image, tmp_path / "flat.nii")
    saved = bytearray((tmp_path / "flat.nii").read_bytes())
    saved[80 + 4 * 3 - 4 + 4 : 80 + 4 * 3 + 4] = np.float32(thickness).tobytes()  # pixdim[3], which nibabel mends
    saved[254:256] = np.int16(code).tobytes()
    saved[252:254] = np.int16(0).tobytes()
    saved[312:328] = np.array([0, 0, thickness, 0], np.float32).tobytes()
    (tmp_path / "flat.nii").write_bytes(saved)
    case = read_nifti(tmp_path / "flat.nii")
    assert tuple(case.hu.shape) == (1, 5, 6) and case.spacing_mm[0] == pytest.approx(thickness or 1.0)
    assert f"a 2D image, one slice of unknown thickness: {thickness or 1:g} mm were assumed" in case.provenance["notes"]


def test_a_packed_file_too_small_for_what_its_header_declares_is_refused_unread(tmp_path):
    """Deflate packs at most 1032 bytes into one, so 2 kB cannot hold 3 MB."""
    from taskct.data.bounded import check_room

    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(bytes(2**20)))
    size = path.stat().st_size
    assert check_room(path, offset=0, size=1032 * size)
    with pytest.raises(FileFormatError, match="cannot hold more than"):
        check_room(path, offset=1, size=1032 * size)


@pytest.mark.parametrize(("dtype", "times"), [("int16", 3.5), ("float32", 2.25), ("float64", 2.0)])
def test_the_memory_of_reading_is_asked_for_before(tmp_path, monkeypatch, dtype, times):
    """Stored values, and whichever is more: them again, or float32 with a quarter for masks, as was measured."""
    from taskct.data import volume

    asked = []
    monkeypatch.setattr(volume, "require_memory", lambda path, needed, **_: asked.append((path, needed)))
    nibabel.save(nibabel.Nifti1Image(np.full((6, 5, 4), 3, dtype), np.eye(4)), tmp_path / "a.nii")
    read_nifti(tmp_path / "a.nii")
    assert asked == [(tmp_path / "a.nii", int(times * 120 * np.dtype(dtype).itemsize))]


@pytest.mark.parametrize(("pixel_mm", "doubted"), [(0.0007, True), (0.7, False), (700.0, True)])
def test_a_size_that_no_patient_has_is_noted(tmp_path: Path, pixel_mm: float, doubted: bool) -> None:
    hu = np.full((64, 64, 2), -1000, np.int16)
    hu[20:40, 20:40] = 40
    read = read_nifti(_write_plain(tmp_path / "a.nii", hu, np.diag([pixel_mm, pixel_mm, pixel_mm, 1.0])))
    assert any("these may not be mm" in note for note in read.provenance["notes"]) == doubted
