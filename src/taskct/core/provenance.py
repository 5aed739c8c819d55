"""What a result was made with: versions, commit, machine, arguments."""

from __future__ import annotations

import hashlib
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_PACKAGES = ("taskct", "torch", "numpy", "scipy", "pydicom", "nibabel", "h5py")


def provenance(**extra: Any) -> dict[str, Any]:
    """Facts about this run as plain values; `extra` (seed, data fingerprint, licences ...) is added under its names."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "versions": versions,
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        **extra,
    }


def git_commit() -> str | None:
    """Commit of the source tree that taskct runs from, with '+changes' if it differs; None for an installed wheel."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+changes" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()


def fingerprint(values: Tensor | np.ndarray) -> str:
    """SHA-256 (first 16 hex digits) of an array's shape, dtype and bytes: names data without copying it."""
    array = values.detach().cpu().contiguous().numpy() if isinstance(values, Tensor) else np.ascontiguousarray(values)
    digest = hashlib.sha256(f"{array.shape}{array.dtype}".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)  # of a contiguous array: no copy
    return digest.hexdigest()[:16]
