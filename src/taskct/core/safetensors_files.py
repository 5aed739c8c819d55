"""Tensors by name in a safetensors file."""

from __future__ import annotations

import os
from collections.abc import Mapping

from torch import Tensor

from taskct.core.errors import FileFormatError
from taskct.core.memory import require_memory
from taskct.core.open_files import file_size, parsing

MAX_TENSOR_BYTES = 16 * 2**30


def read_safetensors(
    path: str | os.PathLike[str], *, limit_bytes: int = MAX_TENSOR_BYTES, what: str = "tensors"
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the text of a file, which holds them as they are, so that its size bounds them.

    Raises what `core.open_files.regular_file` raises, FileFormatError when the file is damaged or above `limit_bytes`,
    ResourceError when it does not fit into memory.
    """
    from safetensors import safe_open

    size = file_size(path, what=what)
    if size > limit_bytes:
        raise FileFormatError(f"{path}: {size} bytes, above the limit of {limit_bytes}")
    require_memory(path, size)
    with parsing(path, "safetensors"), safe_open(path, framework="pt") as f:
        return {key: f.get_tensor(key) for key in f.keys()}, dict(f.metadata() or {})  # noqa: SIM118


def read_safetensors_text(path: str | os.PathLike[str], *, what: str = "tensors") -> dict[str, str]:
    """The text in the header of a file; no tensor is read. Raises as `read_safetensors` does."""
    from safetensors import safe_open

    file_size(path, what=what)  # refuses pipes and the like
    with parsing(path, "safetensors"), safe_open(path, framework="pt") as f:
        return dict(f.metadata() or {})


def pack_tensors(tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a safetensors file of these tensors, with text as metadata."""
    from safetensors.torch import save

    own = {k: t.detach().cpu().contiguous().clone() for k, t in tensors.items()}  # shared memory is refused by safetensors
    return save(own, dict(metadata or {}) or None)
