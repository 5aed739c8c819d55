"""XML of strangers is refused when it is damaged, deep, large, or declares entities."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskct.core.errors import DataError, FileFormatError, UnsupportedDataError
from taskct.data.sets.safe_xml import read_xml

BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'
STRANGER = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'


@pytest.mark.parametrize("text", [BOMB, STRANGER, "<!DOCTYPE a><a/>"])
def test_document_types_and_entities_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.xml").write_text(text)
    with pytest.raises(UnsupportedDataError, match="entities"):
        read_xml(tmp_path / "x.xml")


@pytest.mark.parametrize("text", ["", "<a>", "<a></b>", "a", "<a/><b/>", "<" + "a" * 3])
def test_damage_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.xml").write_text(text)
    with pytest.raises(DataError, match=r"x\.xml: .*damaged"):
        read_xml(tmp_path / "x.xml")


def test_depth_and_size_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "deep.xml").write_text("<a>" * 100 + "</a>" * 100)
    with pytest.raises(FileFormatError, match="too deeply"):
        read_xml(tmp_path / "deep.xml")
    (tmp_path / "long.xml").write_text("<a>" + "x" * 5000 + "</a>")
    with pytest.raises(FileFormatError, match="larger than the limit"):
        read_xml(tmp_path / "long.xml", limit_bytes=1000)


def test_elements_text_and_namespaces_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text('<n:a xmlns:n="http://x"><n:b> 1 </n:b><c/><n:b>2</n:b></n:a>')
    root = read_xml(tmp_path / "x.xml")
    assert root.name == "a" and [b.text.strip() for b in root.all("b")] == ["1", "2"] and root.words("d") == ""
