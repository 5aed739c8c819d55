"""`taskct demo`: which demo is meant, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Says = Callable[..., tuple[int, str, str]]


def test_labels_without_a_ct_and_existing_output_are_refused(tmp_path: Path, taskct_says: Says) -> None:
    code, _, err = taskct_says("demo", "--labels", tmp_path / "l.nii", "--out", tmp_path / "d")
    assert code == 2 and "go with --ct" in err
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").touch()
    assert "exists already" in taskct_says("demo", "--out", tmp_path / "d")[2]
    assert "is not a run folder" in taskct_says("demo", "--out", tmp_path / "d", "--overwrite")[2]
    assert "5=liver" in taskct_says("demo", "--ct", tmp_path, "--label-name", "liver", "--out", tmp_path / "e")[2]
