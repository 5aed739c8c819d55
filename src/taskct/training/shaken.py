"""A label penalty that no single view of the image can please: the reader sees it moved, blurred, noisier, anew each step."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from taskct.core.seeds import generator
from taskct.data.samples import LABELS
from taskct.task import FrozenTask
from taskct.training.augment import Augmentation, augmented
from taskct.training.batch import Batch
from taskct.training.terms import LabelPenalty

GENTLE = Augmentation(shift_share=0.03, scale=0.05, rotate_deg=5.0, offset_hu=6.0, noise_hu=10.0, blur_pixels=0.7)


class ShakenPenalty(nn.Module):
    """What a frozen task says of the reconstruction after `augment` has changed it, with the labels moved along -> scalar.

    Patterns that please one network on one grid of pixels do not survive it, so what is left to gain is seen by other readers
    as well (expectation over transformations: Athalye et al., ICML 2018). The changes of step k follow from `seed` and k.
    """

    needs_labels = True

    def __init__(self, task: FrozenTask, *, augment: Augmentation = GENTLE, seed: int = 0) -> None:
        super().__init__()
        self.penalty, self.augment, self.seed = LabelPenalty(task), augment, seed

    def count(self, batch: Batch) -> int:
        """How many images are labelled."""
        return batch.count(LABELS)

    def forward(self, batch: Batch) -> Tensor | None:
        """Scalar; the gradient reaches the image through the changes."""
        image = batch.image.float()
        streams = [generator(self.seed, "shaken", batch.step, name) for name in batch.ids]
        mu_hat, labels = augmented(self.augment, image, batch.target(LABELS), streams)
        return self.penalty(replace(batch, labels=labels, mu_hat=mu_hat, targets={}))
