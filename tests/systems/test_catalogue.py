"""The catalogue of experiments: settings from words, workers that are possible, one command at a time in a folder."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from small_task_adaptive import SIZES

from taskct.core import workers
from taskct.core.errors import BusyError, ConfigError
from taskct.core.workers import Workers
from taskct.core.write_locks import one_writer
from taskct.systems import catalogue
from taskct.systems.adaptive.experiment import TaskAdaptive
from taskct.systems.alara.experiment import DoseExperiment
from taskct.systems.catalogue import parse_changes, reproduce


def test_one_value_stands_for_a_list_of_one_wherever_the_settings_have_a_list_of_any_length() -> None:
    one = parse_changes(TaskAdaptive, {"widths": 8, "readers": ["a", "b"], "seeds": 3, "width_mm": 300.0})
    assert one == {"widths": [8], "readers": ["a", "b"], "seeds": 3, "width_mm": 300.0}  # a range is a pair, not a list
    other = parse_changes(DoseExperiment, {"curve_photons": 1e5, "seeds_for": "x", "photons": 4.0})
    assert other == {"curve_photons": [1e5], "seeds_for": ["x"], "photons": 4.0}


def test_without_dask_one_process_does_what_nobody_gave_a_number_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 4)
    said: list[str] = []
    monkeypatch.setattr(catalogue, "find_spec", lambda name: object())
    assert catalogue._possible(Workers(0), said.append) == Workers(0) and not said
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None)
    assert catalogue._possible(Workers(0), said.append) == Workers(1) and "pip install 'taskct[dask]'" in said[0]
    assert (
        catalogue._possible(Workers(2), said.append) == Workers(2) and len(said) == 1
    )  # asked for: told that Dask is missing
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"install taskct\[dask\]"), workers.open_client(Workers(2)):
        pass


def test_an_experiment_that_runs_is_not_overwritten_by_another_command(tmp_path: Path) -> None:
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with one_writer(tmp_path / "x"):
            held.set()
            free.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    try:
        with pytest.raises(BusyError, match="x: is being written by"):
            reproduce("task-adaptive", tmp_path / "x", preset="small", changes=SIZES, workers=1, overwrite=True)
    finally:
        free.set()
        thread.join()
    assert not (tmp_path / "x").exists()
