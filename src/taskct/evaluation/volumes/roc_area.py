"""The area under the ROC curve as a mean over patients, so that its interval is that of any other mean."""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.core.errors import InputError


def auc_values(scores: Tensor, positive: Tensor) -> Tensor:
    """One value per case (N,) whose mean is the AUC and whose standard error is DeLong's; empty without both classes.

    `evaluation.reading.auc` has the area alone, with weights and unknown truth.
    A case's value is AUC + n / n_class (placement - AUC), placement being the share of the other class that it outranks
    (DeLong et al., Biometrics 44:837 (1988)). Differences of two readers' values, case by case, give the paired difference.
    """
    s, yes = scores.double().flatten(), positive.bool().flatten()
    if len(s) != len(yes) or not bool(torch.isfinite(s).all()):
        raise InputError(f"auc expects a finite score and a class per case, got {len(s)} scores and {len(yes)} classes")
    n, above = len(s), int(yes.sum())
    if above in (0, n):
        return torch.empty(0, dtype=torch.float64)
    wins = (s[yes][:, None] > s[~yes][None]).double() + 0.5 * (s[yes][:, None] == s[~yes][None]).double()
    area = wins.mean()
    values = torch.empty(n, dtype=torch.float64)
    values[yes] = area + n / above * (wins.mean(1) - area)
    values[~yes] = area + n / (n - above) * (wins.mean(0) - area)
    return values
