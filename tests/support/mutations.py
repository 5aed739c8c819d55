"""Small damage to files, from a seed: what a broken disk, a bad program or an enemy makes of them."""

from __future__ import annotations

import gzip
import json
import random
import re
import zlib

_VALUES = (None, True, -1, 0, 2**70, 1e308, float("nan"), "x", "\udcff", [], {}, [[]], {"a": 1}, [1, "b"])
_ODD = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63, 2**64 - 1)
_TOKENS = (
    b"", b"-1", b"0", b"1e400", b"nan", b"inf", b"-inf", b"null", b"[]", b"{}", b"[[]]", b'"\\ud800"', b"9" * 5000, b"true",
    b'""', b"\xff", b"\x00", b"1e-320", b"../../etc/passwd", b"/dev/zero", b"[" * 3000, b'{"a":' * 2000, b"1, 2",
    b"'x'", b"1979-01-01",
)  # fmt: skip
_PLACE = re.compile(rb'-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|"[^"\n]*"|\b[A-Za-z_]\w*\b')


def mutate(content: bytes, dice: random.Random) -> bytes:
    """One to four changes, inside the compressed stream as often as outside of it."""
    if content[:2] == b"\x1f\x8b" and dice.random() < 0.8:
        return gzip.compress(mutate(gzip.decompress(content), dice), 1, mtime=0)
    made = bytearray(content)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        made = dice.choice(_WAYS)(made, dice)
    return bytes(made)


def _bit(made: bytearray, dice: random.Random) -> bytearray:
    if made:
        made[_where(made, dice)] ^= 1 << dice.randrange(8)
    return made


def _byte(made: bytearray, dice: random.Random) -> bytearray:
    if made:
        made[_where(made, dice)] = dice.choice((0, 0xFF, 0x7F, 0x80, dice.randrange(256)))
    return made


def _number(made: bytearray, dice: random.Random) -> bytearray:
    """A whole number of 1 to 8 bytes in either byte order."""
    size = dice.choice((1, 2, 4, 8))
    if len(made) >= size:
        start = min(_where(made, dice), len(made) - size)
        value = dice.choice(_ODD) & (256**size - 1)
        made[start : start + size] = value.to_bytes(size, dice.choice(("little", "big")))
    return made


def _cut(made: bytearray, dice: random.Random) -> bytearray:
    return made[: dice.randrange(len(made) + 1)]


def _drop(made: bytearray, dice: random.Random) -> bytearray:
    start = _where(made, dice)
    del made[start : start + dice.choice((1, 2, 4, 16, 512))]
    return made


def _insert(made: bytearray, dice: random.Random) -> bytearray:
    start = _where(made, dice)
    made[start:start] = dice.choice((b"\0", b"\xff" * 4, bytes(64), dice.randbytes(8)))
    return made


def _copy(made: bytearray, dice: random.Random) -> bytearray:
    """A piece of the file over another place of it."""
    size, start, there = dice.choice((2, 8, 64)), _where(made, dice), _where(made, dice)
    made[there : there + size] = made[start : start + size]
    return made


def _zeros(made: bytearray, dice: random.Random) -> bytearray:
    start = _where(made, dice)
    size = min(dice.choice((4, 128, 4096)), len(made) - start)
    made[start : start + size] = bytes(size)
    return made


def _token(made: bytearray, dice: random.Random) -> bytearray:
    """A word or number of a text replaced by an odd one."""
    places = [m.span() for m in _PLACE.finditer(bytes(made[:20_000]))]
    if places:
        start, stop = dice.choice(places)
        made[start:stop] = dice.choice(_TOKENS)
    return made


def _line(made: bytearray, dice: random.Random) -> bytearray:
    """A line dropped, doubled or moved."""
    lines = bytes(made[:20_000]).split(b"\n")
    if len(lines) > 1:
        taken = lines.pop(dice.randrange(len(lines)))
        for _ in range(dice.choice((0, 1, 2))):
            lines.insert(dice.randrange(len(lines) + 1), taken)
    return bytearray(b"\n".join(lines) + bytes(made[20_000:]))


def _json_value(made: bytearray, dice: random.Random) -> bytearray:
    """A value anywhere in a JSON text, or in the JSON header of safetensors, replaced by one of another type."""
    start = made.find(b"{")
    if start not in (0, 8):
        return _token(made, dice)
    try:
        size = int.from_bytes(made[:8], "little") if start == 8 else len(made)
        values = json.loads(bytes(made[start : start + size]))
    except (ValueError, RecursionError):  # damaged, or nested too deeply, by an earlier change
        return _token(made, dice)
    place: object = values
    while isinstance(place, dict | list) and place:
        key = dice.choice(list(place)) if isinstance(place, dict) else dice.randrange(len(place))
        inner = place[key]  # type: ignore[index]
        if not (isinstance(inner, dict | list) and inner) or dice.random() < 0.4:
            place[key] = dice.choice(
                (None, True, -1, 0, 2**70, 1e308, float("nan"), "x", "\udcff", [], {}, [[]], {"a": 1}, [1, "b"])
            )  # type: ignore[index]
            break
        place = inner
    text = json.dumps(values).encode()
    head = len(text).to_bytes(8, "little") if start == 8 else b""
    return bytearray(head + text + (bytes(made[8 + size :]) if start == 8 else b""))


def _squeezed(made: bytearray, dice: random.Random) -> bytearray:
    """A deflated stream inside the file that unpacks to something else."""
    for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", bytes(made)):
        try:
            inflater = zlib.decompressobj()
            plain = inflater.decompress(bytes(made[match.start() :]), 2**20)
        except zlib.error:
            continue
        if plain and inflater.eof:
            used = len(made) - match.start() - len(inflater.unused_data)
            packed = zlib.compress(bytes(_number(bytearray(plain), dice)), 1)
            packed = packed[:used] if len(packed) > used else packed + bytes(used - len(packed))
            made[match.start() : match.start() + used] = packed
            break
    return made


def _where(made: bytearray, dice: random.Random) -> int:
    """A place, in the first kilobyte as often as anywhere: that is where headers are."""
    size = len(made)
    return dice.randrange(min(size, dice.choice((64, 1024, size))) or 1) if size else 0


_WAYS = (_bit, _byte, _number, _number, _cut, _drop, _insert, _copy, _zeros, _token, _token, _line, _json_value, _squeezed)
