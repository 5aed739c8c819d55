"""A writer that is killed at any moment leaves the old version or the new one, and the next command cleans up.

Small here; `make fuzz` kills each writer 50 times at random (TASKCT_KILLS) and prints its seeds.
"""

import os
import random

import pytest
from killed_writers import WRITERS
from killing import every_kill, random_kills

from taskct.core import files

pytestmark = pytest.mark.begun_first  # a process forks faster before it has grown

KILLS = int(os.environ.get("TASKCT_KILLS", "2"))


@pytest.mark.parametrize("name", [n for n in WRITERS if n != "report.html"])
def test_a_kill_before_any_change_of_the_disk_leaves_the_old_or_the_new(tmp_path, name):
    assert every_kill(WRITERS[name], tmp_path / "place" / name) >= 3


@pytest.mark.parametrize("name", ["series", "run"])
def test_so_does_a_kill_where_names_cannot_be_exchanged(tmp_path, monkeypatch, name):
    monkeypatch.setattr(files, "exchange", lambda *_: False)
    assert every_kill(WRITERS[name], tmp_path / "place" / name) >= 6


@pytest.mark.parametrize("name", WRITERS)
def test_a_kill_at_a_random_time_leaves_the_old_or_the_new(tmp_path, name):
    seed = int(os.environ.get("TASKCT_SEED", "0")) or (random.randrange(2**31) if KILLS > 2 else 7)
    print(f"{name}: {KILLS} kills, TASKCT_SEED={seed}")
    last = random_kills(WRITERS[name], tmp_path / "place" / name, count=KILLS, seed=seed)
    assert last >= 1 + KILLS, "no version may be lost, and one more is written after each kill"
