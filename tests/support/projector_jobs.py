"""What other processes do with a projector that they were handed; importable there under any start method."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset

from taskct import Dose, Projector, fbp, simulate_scan


def scan_and_reconstruct(job: tuple[Projector, Tensor]) -> tuple[bytes, bytes, bytes]:
    """The bytes of a scan, its FBP and a noisy scan; as bytes, since tensors would come back through shared memory."""
    A, mu = job
    p = A(mu)
    return tuple(x.numpy().tobytes() for x in (p, fbp(p, A), simulate_scan(mu, A, Dose(1e5), seed=3)))


class Scans(Dataset):
    """A data set that owns a projector and an image, as training sets do."""

    def __init__(self, A: Projector, mu: Tensor, threads: int = 1) -> None:
        self.A, self.mu, self.threads = A, mu, threads

    def __len__(self) -> int:
        return 2

    def __getitem__(self, number: int) -> Tensor:
        torch.set_num_threads(self.threads)
        return fbp(self.A(self.mu), self.A)[0]
