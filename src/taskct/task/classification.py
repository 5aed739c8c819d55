"""Tasks that answer once per image: is there a lesion?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.core.precision import at_least_float32


class PresenceBCE(nn.Module):
    """Cross entropy of "this image shows class `label`": logits (B, 1), label maps (B, ...) -> scalar.

    The truth is read from the label map, so that a classification task trains on the images of a segmentation: an image shows
    the class when `min_pixels` or more are labelled so. `positive_weight` weighs the images that do.

    A task with classes of its own needs no class of ours: `FrozenTask(net, prepare, torch.nn.CrossEntropyLoss(), name)` takes
    class numbers (B,) as its target.

    >>> labels = torch.tensor([[[0, 2]], [[0, 1]]])
    >>> PresenceBCE(label=2)(torch.tensor([[20.0], [-20.0]]), labels) < 1e-6
    tensor(True)
    """

    def __init__(self, *, label: int = 2, min_pixels: int = 1, positive_weight: float = 1.0) -> None:
        super().__init__()
        if label < 1 or min_pixels < 1 or not positive_weight > 0:
            raise ConfigError(
                f"PresenceBCE expects label and min_pixels of 1 or more and positive_weight > 0, got {label!r}, "
                f"{min_pixels!r}, {positive_weight!r}"
            )
        self.label, self.min_pixels, self.positive_weight = label, min_pixels, positive_weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar penalty."""
        if logits.ndim != 2 or logits.shape[1] != 1 or len(logits) != len(labels):
            raise GeometryError(
                f"PresenceBCE expects a logit for each image, ({len(labels)}, 1), got {tuple(logits.shape)}; end the network "
                "with a mean over the image and one output"
            )
        logits = at_least_float32(logits)
        truth = presence(labels, self.label, min_pixels=self.min_pixels).to(logits.dtype)[:, None]
        weight = torch.where(truth > 0, self.positive_weight, 1.0).to(logits.dtype)
        return functional.binary_cross_entropy_with_logits(logits, truth, weight=weight)


def presence(labels: Tensor, label: int, *, min_pixels: int = 1) -> Tensor:
    """Which images show a class: label maps (B, ...) -> bool (B,)."""
    if labels.is_floating_point() or labels.ndim < 2:
        raise InputError(f"presence expects label maps (B, ...) of whole numbers, got {labels.dtype} {tuple(labels.shape)}")
    return (labels == label).flatten(1).sum(1) >= min_pixels
