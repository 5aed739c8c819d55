"""Label maps that lie among CT, told by their names: which case each belongs to."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from taskct.data.volume import stem

LABEL_FOLDERS = ("labels", "masks", "segmentations")
_LABEL_WORDS = {"label", "labels", "mask", "masks", "seg", "segmentation", "segmentations"}
_MOST_NAMED = 5


class SkippedCaseWarning(UserWarning):
    """A file that could be a case, or labels of one, was left out."""


def is_label_map(path: Path) -> bool:
    """Whether a file calls itself one: a word of its name is labels, seg, segmentation or mask.

    >>> [is_label_map(Path(name)) for name in ("p1_labels.nii.gz", "Seg-p1.nrrd", "masked.nii", "p1.nii")]
    [True, True, False, False]
    """
    return any(word in _LABEL_WORDS for word in _words(stem(path)))


def owners(names: Sequence[str], maps: Sequence[Path]) -> dict[Path, int]:
    """The number of the case that each label map belongs to; maps that belong to none, or to several, have none.

    `p1_labels`, `seg_p1` and `Labels-P1` belong to `p1`. Where one case lies with one map, a map that names no case is its
    own, too: `labels`, or `seg_of_a_tool` (the label word first, and no number in the rest, which might be a patient's).

    >>> {path.name: k for path, k in owners(["p1", "p2"], [Path("seg_P2.nii"), Path("p9_mask.nii")]).items()}
    {'seg_P2.nii': 1}
    """
    of: dict[tuple[str, ...], list[int]] = {}
    for number, name in enumerate(names):
        of.setdefault(_identifier(name), []).append(number)
    found = {path: of[key][0] for path in maps if len(of.get(key := _identifier(stem(path)), [])) == 1}
    if len(names) == len(maps) == 1 and not found and _names_no_case(stem(maps[0])):
        return {maps[0]: 0}
    return found


def warn_of_label_files(loose: Sequence[Path], doubtful: Mapping[str, Sequence[Path]]) -> None:
    """One warning each for label maps that label nothing, and for cases that several label maps could belong to."""
    if loose:
        warnings.warn(
            f"left out: {listed(loose)}, named like label maps, but of no one CT that lies with them; name each as its CT "
            "(p1.nii.gz, p1_labels.nii.gz) or give labels=..., and open a file by its own path if it is a CT",
            SkippedCaseWarning,
            stacklevel=5,
        )
    for name, maps in doubtful.items():
        warnings.warn(
            f"{name}: read without labels, as several files may be its map ({listed(maps)}); choose one with labels=...",
            SkippedCaseWarning,
            stacklevel=5,
        )


def listed(paths: Sequence[Path]) -> str:
    """The first few paths for a message, and how many more there are."""
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(str(p) for p in paths[:_MOST_NAMED]) + more


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[-_. ]+", name.lower()) if word]


def _identifier(name: str) -> tuple[str, ...]:
    """The words of a name that are no label words, whatever their case and separators."""
    return tuple(word for word in _words(name) if word not in _LABEL_WORDS)


def _names_no_case(name: str) -> bool:
    return not (rest := _identifier(name)) or (_words(name)[0] in _LABEL_WORDS and not re.search(r"\d", "".join(rest)))
