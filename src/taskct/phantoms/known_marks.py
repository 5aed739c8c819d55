"""Marks of built-in patients: everything is known of them, and what is not there is absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from taskct.data.marks import Marks
from taskct.phantoms.body import Anatomy, Site


def marks_of_patient(site: Site, model: Anatomy, facts: Mapping[str, Any], lesion: np.ndarray, labels: np.ndarray) -> Marks:
    """Marks of slices (Z, Y, X) of a patient: `lesion` holds the number (from 1) of the recorded lesion that owns each voxel.

    What is labelled without a record, such as an effusion, is one instance for each connected piece (26 neighbours).
    Findings of the whole patient, such as emphysema, are those in `facts["findings"]`.
    """
    kinds = {n: one.kind for n, one in enumerate(model.lesions, start=1)}
    instances = lesion.astype(np.int16)
    for value, kind in site.unrecorded.items():
        where = (labels == value) & (instances == 0)
        if not where.any():
            continue
        from scipy.ndimage import label

        pieces, count = label(where, structure=np.ones((3, 3, 3)))
        first = max([0, *kinds]) + 1
        instances[where] = pieces[where] + (first - 1)
        kinds |= {first + k: kind for k in range(count)}
    known = frozenset((*site.lesion_kinds, *site.unrecorded.values()))
    return Marks(torch.from_numpy(instances), kinds, masked=known, findings=dict(facts.get("findings", {})))
