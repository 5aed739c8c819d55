from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.errors import ConfigError, FileFormatError, InputError, OutputExistsError
from taskct.core.files import atomic_path
from taskct.core.leftovers import LeftoverWarning
from taskct.core.runs import Run, is_run, load_run
from taskct.core.toml import to_toml

PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
)
NESTED = st.recursive(
    PLAIN, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=5), inner)), max_leaves=8
)


@settings(deadline=None, max_examples=80)
@given(st.dictionaries(st.text(max_size=8), NESTED, max_size=5))
def test_the_config_of_a_run_reads_back_equal(values):
    assert tomllib.loads(to_toml(values)) == values


def test_the_config_of_a_run_leaves_none_out_and_refuses_other_objects():
    assert tomllib.loads(to_toml({"a": None, "b": 1, "c": np.float64(0.5)})) == {"b": 1, "c": 0.5}
    with pytest.raises(ConfigError, match="table: expected plain values to write, got object"):
        to_toml({"dose": {"table": object()}})


def test_a_run_can_be_loaded_again(tmp_path):
    made = Run.create(tmp_path / "r", {"dose": {"photons": 1e5}}, provenance={"seed": 3})
    made.append(step=1, loss=0.5)
    made.append(step=2, loss=float("nan"))
    made.save_tensors("weights.safetensors", {"w": torch.arange(3.0)}, metadata={"about": "test"})
    run = load_run(tmp_path / "r")
    assert run.config == {"schema": 1, "dose": {"photons": 1e5}}
    assert run.provenance["seed"] == 3 and "created_utc" in run.provenance
    assert run.metrics() == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None}]
    tensors, metadata = run.load_tensors("weights.safetensors")
    assert torch.equal(tensors["w"], torch.arange(3.0)) and metadata == {"about": "test"}
    assert run.write_metrics_csv().read_text() == "step,loss\n1,0.5\n2,\n"


def test_a_line_cut_short_by_a_crash_is_not_read_and_does_not_spoil_the_next(tmp_path):
    run = Run.create(tmp_path / "r", {})
    run.append(step=1)
    with open(run.path("metrics.jsonl"), "a") as f:
        f.write('{"step": 2, "lo')
    assert run.metrics() == [{"step": 1}]
    run.append(step=3)
    assert run.metrics() == [{"step": 1}, {"step": 3}]


def test_numbers_of_numpy_and_torch_become_plain(tmp_path):
    run = Run.create(tmp_path / "r", {})
    run.append(a=np.float32(0.5), b=torch.tensor(2), c=[np.int64(3)], d=np.float64("inf"))
    assert run.metrics() == [{"a": 0.5, "b": 2, "c": [3], "d": None}]


def test_leftovers_are_swept_and_what_is_being_written_is_left_to_its_writer(tmp_path):
    run = Run.create(tmp_path / "r", {})
    with atomic_path(run.path("weights")) as part:
        (run.folder / ".part-abcd1234-weights").write_bytes(b"x")
        with pytest.warns(LeftoverWarning, match="removed the unfinished weights"):
            load_run(run.folder)
        assert list(run.folder.glob(".part-*")) == [part]
        part.write_bytes(b"whole")
    assert run.path("weights").read_bytes() == b"whole"


def test_an_existing_run_is_replaced_only_when_asked(tmp_path):
    Run.create(tmp_path / "r", {"a": 1})
    with pytest.raises(OutputExistsError, match="exists already"):
        Run.create(tmp_path / "r", {"a": 2})
    assert Run.create(tmp_path / "r", {"a": 2}, overwrite=True).config["a"] == 2


def test_a_folder_that_is_no_run_is_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(OutputExistsError, match="is not a run folder"):
        Run.create(tmp_path / "thesis", {}, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_a_failed_creation_leaves_nothing(tmp_path):
    with pytest.raises(ConfigError):
        Run.create(tmp_path / "r", {"bad": object()})
    assert not list(tmp_path.iterdir())


def test_what_is_no_run_is_refused_with_the_reason(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"not a run folder \(it has no config.toml\)"):
        load_run(tmp_path)
    (tmp_path / "config.toml").write_text("a = 1")
    with pytest.raises(InputError, match="states no schema"):
        load_run(tmp_path)
    assert not is_run(tmp_path)
    (tmp_path / "config.toml").write_text("schema = 99")
    with pytest.raises(ConfigError, match="schema 99, this taskct reads schema 1"):
        load_run(tmp_path)
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe = ")
    with pytest.raises(FileFormatError, match="cannot be read as UTF-8"):
        load_run(tmp_path)
    (tmp_path / "config.toml").write_text("schema = [[[")
    with pytest.raises(FileFormatError, match="cannot be read as TOML"):
        load_run(tmp_path)


def test_damaged_files_of_a_run_are_named(tmp_path):
    run = Run.create(tmp_path / "r", {})
    run.write_text("table.json", "[" * 100_000)
    with pytest.raises(FileFormatError, match=r"table.json: cannot be read as JSON"):
        run.read_json("table.json")
    run.write_text("metrics.jsonl", json.dumps({"a": 1}) + "\nrubbish\n")
    with pytest.raises(FileFormatError, match=r"metrics.jsonl, line 2"):
        run.metrics()
    run.write_text("weights.safetensors", "rubbish of some length")
    with pytest.raises(FileFormatError, match=r"weights.safetensors: cannot be read as safetensors"):
        run.load_tensors("weights.safetensors")


def test_a_file_name_cannot_lead_out_of_the_folder(tmp_path):
    run = Run.create(tmp_path / "r", {})
    for name in ("../x", "a/b", "..", ""):
        with pytest.raises(InputError, match="named without folders"):
            run.write_text(name, "x")


def test_tensors_that_a_run_does_not_hold_are_named_as_its_own(tmp_path):
    run = Run.create(tmp_path / "run", {"a": 1})
    with pytest.raises(InputError, match=r"run's weights\.safetensors"):
        run.load_tensors("weights.safetensors")
