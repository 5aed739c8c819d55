"""Marks from a label map: every connected piece of a label is one lesion of its kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskct.core.errors import InputError, UnsupportedDataError
from taskct.data.case import Case
from taskct.data.marks import Marks

_MOST_PIECES = 30_000


@dataclass(frozen=True, eq=False)
class PieceMarks:
    """Marks of a case with labels: `kinds` says which label holds which kind of lesion. All other kinds are unknown.

    Pieces touch by sides, edges or corners. A case without labels has no marks: what it holds is unknown. `set_name` and
    `findings` go with each case that has labels.
    """

    kinds: Mapping[int, str]
    set_name: str = ""
    findings: Mapping[str, bool] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """None beside the labels."""
        return ()

    @property
    def without_labels(self) -> None:
        """Nothing: the pieces are those of the labels."""
        return None

    def add(self, case: Case) -> Case:
        """See `MarkSource`."""
        about: dict[str, Any] = {**case.provenance, **({"set": self.set_name} if self.set_name else {})}
        if case.labels is None:
            return replace(case, provenance=about)
        refuse_unknown_labels(case, self.kinds, words=f"this set has {label_words(self.kinds)}")
        return replace(case, marks=marks_of_labels(case, self.kinds, findings=self.findings or {}), provenance=about)


def refuse_unknown_labels(case: Case, known: Collection[int], *, words: str) -> None:
    """UnsupportedDataError for a label without a kind, since it may mark a lesion. `words` say what to do."""
    assert case.labels is not None
    unknown = sorted(set(case.labels.unique().tolist()) - {0, *known})
    if unknown:
        raise UnsupportedDataError(f"{case.source_path}: its labels hold {unknown[0]}, of which no kind is named; {words}")


def marks_of_labels(case: Case, kinds: Mapping[int, str], *, findings: Mapping[str, bool] | None = None) -> Marks:
    """Marks of the labels of a case: each connected piece of label `n` is one instance of `kinds[n]`, with its true outline.

    Raises InputError for a case without labels, and for labels of more pieces than lesions can have.
    """
    from scipy.ndimage import label

    if case.labels is None:
        raise InputError(f"case {case.case_id} has no labels to make marks of")
    labels = case.labels.numpy()
    instances = np.zeros(labels.shape, np.int16)
    names: dict[int, str] = {}
    for value, kind in kinds.items():
        pieces, count = label(labels == value, structure=np.ones((3, 3, 3)))
        if len(names) + count > _MOST_PIECES:
            raise InputError(
                f"case {case.case_id}: label {value} ({kind}) has {count} pieces, more than a map of lesions can have"
            )
        np.copyto(instances, (pieces + len(names)).astype(np.int16), where=pieces > 0)
        names |= {len(names) + k: kind for k in range(1, count + 1)}
    return Marks(torch.from_numpy(instances), names, masked=frozenset(kinds.values()), findings=dict(findings or {}))


def label_words(names: Mapping[int, str]) -> str:
    """Labels and what they mark, for messages."""
    return ", ".join(f"{n} {name}" for n, name in names.items())
