from __future__ import annotations

import io
import json
import multiprocessing

import numpy as np
import pytest
from dicom_files import ct_slice, save, stored_slice
from pydicom.uid import RLELossless

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.data.dicom import decoder_process as apart
from taskct.data.dicom import syntaxes
from taskct.data.dicom.decoder_process import decode_apart
from taskct.data.dicom.series import read_series

LOSSLESS = "1.2.840.10008.1.2.4.70"


def _packed(path, number=0):
    made = ct_slice(0.0, number)
    save(made, path)
    made.compress(RLELossless)
    made.save_as(path)
    return path


def test_another_process_decodes_file_after_file(tmp_path):
    for number in range(3):
        assert np.array_equal(decode_apart(_packed(tmp_path / f"{number}.dcm", number), "pydicom"), stored_slice(number))
    first = apart._decoder.process
    decode_apart(tmp_path / "0.dcm", "pydicom")
    assert first is not None and apart._decoder.process is first  # one process for all


def test_what_the_decoder_refuses_is_one_line_and_the_next_file_is_read(tmp_path):
    good = _packed(tmp_path / "a.dcm")
    (tmp_path / "bad.dcm").write_bytes(good.read_bytes()[:-200])
    with pytest.raises(FileFormatError, match=r"bad\.dcm: pixels cannot be decoded") as caught:
        decode_apart(tmp_path / "bad.dcm", "pydicom")
    assert "\n" not in str(caught.value)
    assert np.array_equal(decode_apart(good, "pydicom"), stored_slice(0))


def test_a_decoder_that_crashes_takes_only_itself_down(tmp_path):
    good = _packed(tmp_path / "a.dcm")
    decode_apart(good, "pydicom")
    apart._decoder.process.kill()
    apart._decoder.process.poll = lambda: None  # as if it died while it decoded
    with pytest.raises(FileFormatError, match=r"the decoder .* crashed"):
        decode_apart(good, "pydicom")
    assert np.array_equal(decode_apart(good, "pydicom"), stored_slice(0))


def test_a_forked_child_has_a_decoder_of_its_own(tmp_path):
    good = _packed(tmp_path / "a.dcm")
    decode_apart(good, "pydicom")
    parent = apart._decoder.process.pid
    with multiprocessing.get_context("fork").Pool(1) as pool:
        child, array = pool.apply(_in_child, (good,))
    assert child != parent and np.array_equal(array, stored_slice(0))
    assert np.array_equal(decode_apart(good, "pydicom"), stored_slice(0))


def _in_child(path):
    array = decode_apart(path, "pydicom")
    return apart._decoder.process.pid, array


def test_without_a_decoder_the_message_names_one_without_gpl(tmp_path, monkeypatch):
    monkeypatch.setattr(syntaxes, "_importable", lambda module: False)
    with pytest.raises(UnsupportedDataError, match=r"python-gdcm .*taskct\[jpeg-lossless\].*dcmdjpeg"):
        syntaxes.readable_syntax(tmp_path / "a.dcm", LOSSLESS, bits_stored=16)


def test_gdcm_is_chosen_where_it_is_and_runs_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(syntaxes, "_importable", lambda module: module == "gdcm")
    chosen = syntaxes.readable_syntax(tmp_path / "a.dcm", LOSSLESS, bits_stored=16)
    assert (chosen.plugin, chosen.apart, chosen.lossy) == ("gdcm", True, False)
    monkeypatch.setattr(syntaxes, "_importable", lambda module: module == "libjpeg")
    assert syntaxes.readable_syntax(tmp_path / "a.dcm", LOSSLESS, bits_stored=16).apart is False


@pytest.mark.real_data
def test_jpeg_lossless_is_decoded_by_gdcm(real_data):
    pytest.importorskip("gdcm")
    folder = real_data / "dicom_odd_open" / "cornerstonejs+cornerstoneWADOImageLoader"
    plain = read_series(folder / "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm")
    for name in (
        "JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70",
        "JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57",
    ):
        assert np.array_equal(read_series(folder / f"CTImage.dcm_{name}.dcm").hu, plain.hu)


def test_requests_are_answered_in_turn_with_the_numbers_or_one_line(tmp_path):
    """What the other process does, here in this one."""
    (tmp_path / "bad.dcm").write_bytes(b"no DICOM")
    good = _packed(tmp_path / "a.dcm", 3)
    asked = [json.dumps({"path": str(p), "plugin": "pydicom"}) + "\n" for p in (tmp_path / "bad.dcm", good)]
    answers = io.BytesIO()
    apart.serve(io.BytesIO("".join(asked).encode()), answers)
    first, second = answers.getvalue().split(b"\n", 2)[:2]
    assert list(json.loads(first)) == ["error"] and "\n" not in json.loads(first)["error"]
    head = json.loads(second)
    values = np.frombuffer(answers.getvalue()[len(first) + len(second) + 2 :], head["dtype"]).reshape(head["shape"])
    assert np.array_equal(values, stored_slice(3))
