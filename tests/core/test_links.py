import os

import pytest

from taskct.core.errors import FileFormatError
from taskct.core.links import outside_notes, refuse_outside
from taskct.core.runs import Run


def test_a_link_out_of_a_folder_is_named_and_one_inside_is_not(tmp_path):
    inside, outside = tmp_path / "series", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    for folder in (inside, outside):
        (folder / "a").write_text("x")
    (inside / "b").symlink_to("a")
    assert outside_notes(inside, sorted(inside.iterdir())) == []
    (inside / "c").symlink_to(outside / "a")
    (inside / "d").symlink_to("../elsewhere/a")
    (inside / "e").symlink_to(outside / "nothing")
    (note,) = outside_notes(inside, sorted(inside.iterdir()))
    assert note == f"c and 2 more are symbolic links out of the folder (to {outside / 'a'})"
    assert outside_notes(os.path.relpath(inside), [inside / "d"])[0].startswith("d is a symbolic link out of the folder")
    assert refuse_outside(inside, inside / "b") == inside / "b"
    with pytest.raises(FileFormatError, match=r"d: is a symbolic link out of its folder \(to .*; copy the file into it"):
        refuse_outside(inside, inside / "d")


def test_a_run_is_whole_in_itself(tmp_path):
    run = Run.create(tmp_path / "run", {"a": 1})
    (tmp_path / "secret.json").write_text("{}")
    (run.folder / "table.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(FileFormatError, match="out of its folder"):
        run.read_json("table.json")
    run.path("config.toml").rename(tmp_path / "config.toml")
    (run.folder / "config.toml").symlink_to(tmp_path / "config.toml")
    with pytest.raises(FileFormatError, match="out of its folder"):
        Run(run.folder)
