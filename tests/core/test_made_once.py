"""Folders that tests share are whole or made anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_once import made_once


def test_what_a_failure_left_is_no_part_of_the_next_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    def half(folder: Path) -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise RuntimeError("killed")

    def whole(folder: Path) -> None:
        folder.mkdir()
        (folder / "whole").touch()

    for name in ("share-0.1", "share-0.5"):
        with pytest.raises(RuntimeError, match="killed"):
            made_once(tmp_path_factory, name, half)
        for make in (whole, half):  # the second finds it done
            assert [p.name for p in made_once(tmp_path_factory, name, make).iterdir()] == ["whole"]
