"""XML of strangers: bounded in size and depth, without entities or document types, as plain nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.open_files import parsing, read_bytes

MOST_XML_BYTES = 64 * 2**20
_MOST_DEPTH = 64
_MOST_NODES = 4_000_000


@dataclass(slots=True)
class Node:
    """One element: its name without namespace, its text, and the elements in it."""

    name: str
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Node]:
        """The elements of a name right below this one."""
        return (child for child in self.children if child.name == name)

    def first(self, name: str) -> Node | None:
        """The first of them, or None."""
        return next(self.all(name), None)

    def words(self, name: str) -> str:
        """The text of the first element of a name, "" where there is none."""
        found = self.first(name)
        return "" if found is None else found.text.strip()


def read_xml(path: str | os.PathLike[str], *, limit_bytes: int = MOST_XML_BYTES) -> Node:
    """The root element of an XML file.

    Raises FileFormatError for damage, for more than `limit_bytes` and for nesting beyond bounds, UnsupportedDataError for a
    document type or entities: they can read other files and grow without end, and no data need them.
    """
    name = Path(path)
    content = read_bytes(name, limit_bytes=limit_bytes, what="XML")
    top = Node("")
    open_nodes, count = [top], 0
    pieces: list[list[str]] = [[]]

    def start(tag: str, _: object) -> None:
        nonlocal count
        count += 1
        if len(open_nodes) > _MOST_DEPTH or count > _MOST_NODES:
            raise FileFormatError(f"{name}: nested too deeply or too many elements; the file is damaged or hostile")
        node = Node(tag.rsplit(":", 1)[-1])
        open_nodes[-1].children.append(node)
        open_nodes.append(node)
        pieces.append([])

    def end(_: str) -> None:
        open_nodes.pop().text = "".join(pieces.pop())

    def refuse(*_: object) -> None:
        raise UnsupportedDataError(f"{name}: declares a document type or entities, which are not read; remove them")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = lambda part: pieces[-1].append(part)  # noqa: PLW0108  (the last one of the moment)
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.UnparsedEntityDeclHandler = refuse
    with parsing(name, "XML"):
        parser.Parse(content, True)
    if len(top.children) != 1:
        raise FileFormatError(f"{name}: holds no XML element; the file is damaged")
    return top.children[0]
