"""Stored numbers to HU: compressed, padded, signed, lossy."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from dicom_files import INTERCEPT, SHAPE, ct_slice, save, save_stack, stored_slice
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from taskct.core.errors import DataError, FileFormatError, UnsupportedDataError
from taskct.data.dicom.dicom_padding import fill_outside
from taskct.data.dicom.series import read_series

LARGE = (32, 40)  # JPEG 2000 encoders want at least 32 pixels
HU = stored_slice(0).astype(np.float32) + INTERCEPT


def compressed(syntax, path, *, pixels=None, changes=None, **options):
    made = ct_slice(0, 0, stored_slice(0, LARGE) if pixels is None else pixels)
    save(made, path)
    made.compress(syntax, generate_instance_uid=False, **options)
    for keyword, value in (changes or {}).items():
        setattr(made, keyword, value)
    made.save_as(path, enforce_file_format=True)
    return path


# --- laws


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_native_syntaxes_give_the_same_numbers(tmp_path, syntax):
    pixels = stored_slice(0)
    made = ct_slice(0, 0, pixels.astype(">u2") if syntax == ExplicitVRBigEndian else pixels)
    assert np.array_equal(read_series(save(made, tmp_path / "a.dcm", syntax)).hu[0].numpy(), HU)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_syntaxes_give_the_same_numbers(tmp_path, syntax, signed):
    pixels = stored_slice(0, LARGE)
    if signed:
        pixels = (pixels.astype(np.int16) - 1400).astype(np.int16)
    case = read_series(compressed(syntax, tmp_path / "a.dcm", pixels=pixels))
    assert np.array_equal(case.hu[0].numpy(), fill_outside(pixels.astype(np.float32) + INTERCEPT)[0])
    assert case.provenance["lossy"] is False


def test_near_lossless_is_read_and_said(tmp_path):
    case = read_series(compressed(JPEGLSNearLossless, tmp_path / "a.dcm", jls_error=2))
    assert np.abs(case.hu[0].numpy() - (stored_slice(0, LARGE).astype(np.float32) + INTERCEPT)).max() <= 2
    assert case.provenance["lossy"] is True and any("lossy compression" in n for n in case.provenance["notes"])


def test_baseline_jpeg_is_read_and_its_step_is_said(tmp_path):
    from io import BytesIO

    from PIL import Image
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    ramp = np.tile(np.linspace(40, 200, 40).astype(np.uint8), (32, 1))
    buffer = BytesIO()
    Image.fromarray(ramp).save(buffer, "JPEG", quality=95)
    made = ct_slice(0, 0, ramp, BitsAllocated=8, BitsStored=8, HighBit=7, RescaleSlope=8, LossyImageCompression="01")
    made.PixelData = encapsulate([buffer.getvalue()])
    made["PixelData"].is_undefined_length = True
    case = read_series(save(made, tmp_path / "a.dcm", JPEGBaseline8Bit))
    assert np.abs(case.hu[0].numpy() - (ramp * 8.0 + INTERCEPT)).max() <= 24  # 3 grey levels at quality 95
    assert any("one step of the stored number is 8 HU" in n for n in case.provenance["notes"])


# --- padding


@pytest.mark.parametrize("padding", [-2000, -2048, -3024])
def test_numbers_outside_the_scanned_circle_become_air_and_the_rest_stays(tmp_path, padding):
    pixels = stored_slice(0).astype(np.int16)
    pixels[:4, :4] = padding - INTERCEPT
    case = read_series(save(ct_slice(0, 0, pixels), tmp_path / "a.dcm"))
    expected = HU.copy()
    expected[:4, :4] = -1000
    assert np.array_equal(case.hu[0].numpy(), expected)
    assert any("16 pixels" in n and "-1000 HU" in n for n in case.provenance["notes"])


def test_a_declared_padding_range_below_air_becomes_air(tmp_path):
    pixels = stored_slice(0).astype(np.int16)
    pixels[0, :3] = [-200, -150, -100]  # -1224 to -1124 HU: not impossible, but declared
    made = ct_slice(0, 0, pixels, PixelPaddingValue=-200)
    made.PixelPaddingRangeLimit = -150
    case = read_series(save(made, tmp_path / "a.dcm"))
    assert case.hu[0, 0, :3].tolist() == [-1000.0, -1000.0, -1124.0]


@pytest.mark.parametrize("stored", [0, 24, 1024])
def test_a_declared_padding_that_may_be_air_or_tissue_is_left_alone_and_noted(tmp_path, stored):
    pixels = stored_slice(0)
    pixels[0, 0] = stored
    case = read_series(save(ct_slice(0, 0, pixels, PixelPaddingValue=stored), tmp_path / "a.dcm"))
    assert np.array_equal(case.hu[0].numpy(), pixels.astype(np.float32) + INTERCEPT)
    assert any("left as they are" in n for n in case.provenance["notes"])


# --- what is refused


def test_a_codestream_of_another_size_is_refused_before_it_is_decoded(tmp_path):
    path = compressed(JPEG2000Lossless, tmp_path / "a.dcm", changes={"Rows": 64})
    with pytest.raises(FileFormatError, match="64 x 40 pixels, the compressed frame 32 x 40"):
        read_series(path)
    path = compressed(JPEG2000Lossless, tmp_path / "b.dcm")
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\x4f\xff\x51")
    data[at + 8 : at + 16] = (60000).to_bytes(4, "big") * 2
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="60000"):
        read_series(path)


def test_a_truncated_codestream_is_refused_although_decoders_fill_it_up(tmp_path):
    from pydicom import dcmread
    from pydicom.encaps import encapsulate, generate_frames

    path = compressed(JPEG2000Lossless, tmp_path / "a.dcm")
    made = dcmread(path)
    frame = next(generate_frames(made.PixelData, number_of_frames=1))
    made.PixelData = encapsulate([frame[: len(frame) // 2]])
    made.save_as(path)
    with pytest.raises(FileFormatError, match="no end marker"):
        read_series(path)


def test_jpeg2000_that_says_unsigned_for_signed_numbers_is_read_as_twos_complement(tmp_path):
    wrong = np.array(stored_slice(0, LARGE).astype(np.int16) - 1400)
    path = compressed(JPEG2000Lossless, tmp_path / "a.dcm", pixels=wrong.view(np.uint16), changes={"PixelRepresentation": 1})
    case = read_series(path)
    assert np.array_equal(case.hu[0].numpy(), fill_outside(wrong.astype(np.float32) + INTERCEPT)[0])
    assert any("two's complement" in n for n in case.provenance["notes"])


def test_jpeg2000_that_says_signed_for_unsigned_numbers_is_refused(tmp_path):
    signed = np.array(stored_slice(0, LARGE).astype(np.int16) - 1400)
    path = compressed(JPEG2000Lossless, tmp_path / "a.dcm", pixels=signed, changes={"PixelRepresentation": 0})
    with pytest.raises(FileFormatError, match="wrap"):
        read_series(path)


@pytest.mark.parametrize(
    ("syntax", "words"),
    [
        ("1.2.840.10008.1.2.4.70", "pylibjpeg-libjpeg, which is GPL-3.0"),
        ("1.2.840.10008.1.2.4.51", "16 bits; decoding it needs pylibjpeg-libjpeg"),
        ("1.2.840.10008.1.2.4.100", "MPEG2"),
        ("1.2.3.4.5", "'1.2.3.4.5' cannot be decoded"),
    ],
)
def test_a_syntax_without_a_decoder_says_what_to_do(tmp_path, syntax, words):
    if "GPL" in words and importlib.util.find_spec("libjpeg"):
        pytest.skip("pylibjpeg-libjpeg is installed here")
    made = ct_slice(0, 0)
    path = save(made, tmp_path / "a.dcm")
    uid = syntax.encode().ljust(22, b"\0") if len(syntax) <= 22 else syntax.encode() + b"\0" * (len(syntax) % 2)
    data = path.read_bytes()
    old = b"\x02\x00\x10\x00UI\x14\x00" + b"1.2.840.10008.1.2.1\0"
    assert old in data
    path.write_bytes(data.replace(old, b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid))
    with pytest.raises(UnsupportedDataError) as error:
        read_series(path)
    assert words in str(error.value) and str(error.value).startswith(str(path))


def test_a_missing_decoder_of_the_extra_is_named(tmp_path, monkeypatch):
    from taskct.data.dicom import syntaxes

    path = compressed(JPEG2000Lossless, tmp_path / "a.dcm")
    monkeypatch.setattr(syntaxes, "_importable", lambda module: False)
    with pytest.raises(UnsupportedDataError, match=r"taskct\[dicom\]"):
        read_series(path)


def test_numbers_above_bits_stored_are_refused_unless_an_overlay_explains_them(tmp_path):
    pixels = stored_slice(0)
    pixels[3, 3] |= 0x8000
    made = ct_slice(0, 0, pixels, BitsStored=12, HighBit=11)
    with pytest.raises(FileFormatError, match="12 unsigned bits"):
        read_series(save(made, tmp_path / "a.dcm"))
    made.add_new((0x6000, 0x0102), "US", 15)
    case = read_series(save(made, tmp_path / "b.dcm"))
    assert np.array_equal(case.hu[0].numpy(), HU)
    assert any("overlay" in n for n in case.provenance["notes"])


def test_mixed_compression_in_one_series_is_one_volume(tmp_path):
    hu = save_stack(tmp_path, slices=2)
    made = ct_slice(-46.0, 2)
    save(made, tmp_path / "c")
    made.compress(RLELossless, generate_instance_uid=False)
    made.save_as(tmp_path / "c", enforce_file_format=True)
    case = read_series(tmp_path)
    assert case.hu.shape == (3, *SHAPE) and np.array_equal(case.hu[:2].numpy(), hu)
    assert np.array_equal(case.hu[2].numpy(), stored_slice(2).astype(np.float32) + INTERCEPT)


def test_irreversible_jpeg2000_is_called_lossy(tmp_path):
    case = read_series(compressed(JPEG2000, tmp_path / "a.dcm", j2k_cr=[4]))
    assert case.provenance["lossy"] is True


def test_every_refusal_of_this_file_is_a_data_error():
    assert issubclass(FileFormatError, DataError) and issubclass(UnsupportedDataError, DataError)
