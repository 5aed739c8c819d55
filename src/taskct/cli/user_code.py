"""Code that the user names on the command line, FILE.py:NAME. The only place where taskct runs code it does not hold."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskct.core.errors import InputError, unknown_name
from taskct.core.files import existing_path

if TYPE_CHECKING:
    from torch import nn


def load_module(text: str | None) -> nn.Module | None:
    """The torch module NAME of FILE.py; None for no text. InputError for another kind of part."""
    from torch import nn

    part = None if text is None else load_part(text)
    if part is not None and not isinstance(part, nn.Module):
        raise InputError(f"{text}: is {type(part).__name__}, expected a torch.nn.Module (p, A) -> mu, or its class")
    return part


def load_part(text: str) -> Callable[..., Any]:
    """The callable NAME of FILE.py; a class, or a function that takes nothing, is called first.

    Raises InputError, beginning with the file, when it cannot be imported or the name is missing or no callable.
    """
    file, colon, name = text.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise InputError(f"expected FILE.py:NAME, got {text!r}; for example my_method.py:reconstruct")
    path = existing_path(file, what="code")
    module = _module(path)
    if not hasattr(module, name):
        callables = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise unknown_name(f"name in {path}", name, callables or ["(nothing callable)"], InputError)
    part = getattr(module, name)
    if inspect.isclass(part) or (inspect.isfunction(part) and not inspect.signature(part).parameters):
        try:
            part = part()
        except Exception as error:
            raise InputError(
                f"{path}: {name}() failed with {type(error).__name__}: {error}; name a function or an object instead"
            ) from error
    if not callable(part):
        raise InputError(f"{path}: {name} is {type(part).__name__}, expected a callable (p, A) -> mu, a projector or a task")
    return part


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"taskct_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling look a module up by its name
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # as `python FILE.py` would, so that the file finds its neighbours
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{path}: cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    return module
