"""Weights from files of other libraries, without running what such files may carry."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.memory import require_memory
from taskct.core.open_files import open_binary, parsing, regular_file
from taskct.core.safetensors_files import read_safetensors
from taskct.nets.weights import load_weights, plain_names

LIMIT_BYTES = 8 * 2**30
_WHERE = ("network_weights", "state_dict", "model_state_dict", "model")  # nnU-Net, Lightning and others, MONAI


def load_network(net: nn.Module, path: str | os.PathLike[str], *, limit_bytes: int = LIMIT_BYTES) -> nn.Module:
    """`net` with the weights of a .safetensors, .pt or .pth file, in evaluation mode; names and shapes must match.

    Raises ConfigError for weights of another network, and what `read_weights` raises.
    """
    load_weights(net, read_weights(path, limit_bytes=limit_bytes), what=str(path))
    return net.eval()


def read_weights(path: str | os.PathLike[str], *, limit_bytes: int = LIMIT_BYTES) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by name. Nothing but tensors and plain values is unpickled.

    Looks inside `network_weights` (nnU-Net), `state_dict`, `model_state_dict` and `model`, and takes away the names of
    wrappers (DDP, torch.compile, running means), wherever they stand.

    Raises UnsupportedDataError when the file would run code, FileFormatError when it is damaged, holds no weights or would
    grow beyond `limit_bytes`; the message begins with the path.
    """
    found = regular_file(path, what="weights")
    if found.suffix == ".safetensors":
        return _read_safetensors(found, limit_bytes)
    with open_binary(found) as stream, parsing(found, "weights"):
        _refuse_growth(found, stream, limit_bytes)
        try:
            with torch.serialization.safe_globals(_plain_numbers()):
                content = torch.load(stream, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise UnsupportedDataError(
                f"{found}: holds more than tensors and plain values, and is not read, since that could run code "
                f"({_first_line(error)}); where you trust it, save its weights alone: torch.save(net.state_dict(), ...)"
            ) from error
        tensors = _tensors(content)
    if not tensors:
        inside = ", ".join(map(str, list(content)[:8])) if isinstance(content, Mapping) else type(content).__name__
        raise FileFormatError(
            f"{found}: holds no weights; expected tensors by name, or one of {', '.join(_WHERE)}; got {inside}"
        )
    return tensors


def _read_safetensors(path: Path, limit_bytes: int) -> dict[str, Tensor]:
    return plain_names(read_safetensors(path, limit_bytes=limit_bytes, what="weights")[0])


def _refuse_growth(path: Path, stream: BinaryIO, limit_bytes: int) -> None:
    """The members of a zipped checkpoint say how large they are unpacked."""
    size = stream.seek(0, os.SEEK_END)
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            size = max(size, sum(member.file_size for member in archive.infolist()))
    stream.seek(0)
    if size > limit_bytes:
        raise FileFormatError(f"{path}: {size} bytes of weights, above the limit of {limit_bytes}")
    require_memory(path, size)


def _tensors(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    if content and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
        return plain_names(content)
    for name in _WHERE:
        if isinstance(content.get(name), Mapping):
            return _tensors(content[name])
    return {}


def _plain_numbers() -> list[Any]:
    """What a numpy number needs to come out of a pickle: nnU-Net keeps such numbers beside its weights."""
    import numpy as np

    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    kinds = [type(np.dtype(kind)) for kind in ("float16", "float32", "float64", "int32", "int64", "bool")]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    return " ".join((named or lines or [type(error).__name__])[0].split())[:200]
