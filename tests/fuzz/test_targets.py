"""Each reader on some hundred damaged files: read, or refused in one line of ours. `make fuzz` runs them for minutes."""

import time

import fuzzing
import pytest
from fuzz_targets import TARGETS
from fuzzing import fuzz
from mutations import mutate

INPUTS = {"radiographs": 150, "table": 40, "pth": 100, "lodopab": 60, "seg": 80, "rtstruct": 80, "dicom": 120}


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused_in_one_line(name):
    outcome = fuzz(name, seed=1, inputs=INPUTS.get(name, 200))
    assert not outcome.failures, "\n".join(f"{name}, input {number}: {what}" for number, what in outcome.failures)
    assert outcome.refused > 10


def test_a_reader_that_fails_is_noticed(monkeypatch):
    from fuzz_targets import Target

    def read(folder):
        if (folder / "a").read_bytes() != b"right":
            raise KeyError("mine")

    def make(folder):
        (folder / "a").write_bytes(b"right")
        return [folder / "a"]

    monkeypatch.setitem(TARGETS, "bad", Target(make, read))
    outcome = fuzz("bad", seed=0, inputs=20)
    assert len(outcome.failures) == 1 and "KeyError" in outcome.failures[0][1]


@pytest.mark.parametrize("hang", ["work", "wait"])
def test_an_input_that_takes_for_ever_is_noticed(monkeypatch, hang):
    from fuzz_targets import Target

    def read(folder):
        while (folder / "a").read_bytes() != b"right":
            time.sleep(0.01 if hang == "wait" else 0)

    def make(folder):
        (folder / "a").write_bytes(b"right")
        return [folder / "a"]

    monkeypatch.setattr(fuzzing, "MOST_CPU_S", 0.05 if hang == "work" else 60.0)
    monkeypatch.setattr(fuzzing, "MOST_S", 0.1 if hang == "wait" else 60.0)
    monkeypatch.setitem(TARGETS, "bad", Target(make, read))
    ((_, what),) = fuzz("bad", seed=0, inputs=6).failures
    assert what.startswith("Hang at ") and what.endswith("s of work" if hang == "work" else "more than 0.1 s")


def test_mutations_depend_on_their_seed_alone():
    import random

    content = bytes(range(256)) * 4
    made = [[mutate(content, random.Random(seed)) for seed in range(50)] for _ in range(2)]
    assert made[0] == made[1] and len(set(made[0])) > 40
