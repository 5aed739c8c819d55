"""The web app of the viewer: its page, the list of studies, and their planes by number. No request can name a path."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from taskct.core.errors import InputError, ResourceError, TaskctError
from taskct.evaluation.windows import WINDOWS
from taskct.viewer.guard import Guard
from taskct.viewer.picture_layers import Layers
from taskct.viewer.plane_bytes import volume_nifti
from taskct.viewer.study import REFERENCE

PAGE = Path(__file__).parent / "page"
STEPS = (1, 2, 4)
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def page_files() -> dict[str, tuple[str, bytes]]:
    """Name -> (media type, content) of every file of the page, and of windows.js: nothing else is ever sent from the disk."""
    files = [path for path in sorted(PAGE.iterdir()) if path.suffix in _KINDS]
    found = {path.name: (_KINDS[path.suffix] + "; charset=utf-8", path.read_bytes()) for path in files}
    windows = json.dumps([(one.name, one.level_hu, one.width_hu) for one in WINDOWS.values()])
    return found | {"windows.js": ("text/javascript; charset=utf-8", f"export const WINDOWS = {windows};\n".encode())}


def view_app(layers: Sequence[Layers], token: str) -> Guard:
    """The app that shows `layers` below /`token`/; InputError without FastAPI.

    GET /                                         the page
    GET /studies                                  all studies, as JSON
    GET /plane/STUDY/KIND/METHOD/DOSE/PLANE       a plane; the headers x-type, x-rows and x-columns describe its bytes
    GET /scores/STUDY/METHOD/DOSE/PLANE           scores of an image
    GET /lesions/STUDY                            lesions with their positions
    GET /volume/STUDY.nii, /labels/STUDY.nii      the volumes for the view of three planes
    """
    try:
        from fastapi import FastAPI
        from fastapi.responses import JSONResponse, Response, StreamingResponse
    except ImportError as error:
        raise InputError("the viewer needs FastAPI; pip install 'taskct[viewer]'") from error

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    volumes = threading.Semaphore(1)

    def of(study: int) -> Layers:
        if not 0 <= study < len(layers):
            raise InputError(f"unknown study {study}; expected a number from 0 to {len(layers) - 1}")
        return layers[study]

    def file(name: str = "index.html") -> Any:
        if name not in page_files():
            return JSONResponse({"error": "unknown page; copy the whole address that taskct view printed"}, 404)
        kind, content = page_files()[name]
        return Response(content, media_type=kind)

    def index() -> Any:
        return file()

    def studies() -> Any:
        return JSONResponse([one.describe() for one in layers])

    def plane(study: int, kind: str, method: int, dose: int, number: int, *, reader: str = "", of_class: int = 0) -> Any:
        dtype, (rows, columns), data = of(study).plane(kind, method, dose, number, reader=reader, of_class=of_class)
        headers = {"x-type": dtype, "x-rows": str(rows), "x-columns": str(columns)}
        return Response(data, media_type="application/octet-stream", headers=headers)

    def scores(study: int, method: int, dose: int, number: int, reader: str = "") -> Any:
        return JSONResponse(of(study).scores(method, dose, number, reader=reader))

    def lesions(study: int) -> Any:
        return JSONResponse([one._asdict() for one in of(study).study.lesions()])

    def volume(study: int, step: int = 1) -> Any:
        return _nifti(of(study), step, labels=False)

    def labels(study: int, step: int = 1) -> Any:
        return _nifti(of(study), step, labels=True)

    def _nifti(one: Layers, step: int, *, labels: bool) -> Any:
        if step not in STEPS:
            raise InputError(f"step {step}: expected one of {', '.join(map(str, STEPS))}")
        case = one.study.volume
        if case is None or (labels and not one.study.facts.labelled):
            raise InputError(f"{one.study.facts.title} has no volume{' of labels' if labels else ''}")
        maps = None
        with volumes:
            if labels:
                planes = range(len(one.study.facts.planes))
                maps = np.stack([one.labels_of(number).numpy() for number in planes])
            size, parts = volume_nifti(case, labels=maps, step=step)
        headers = {"content-length": str(size)}
        return StreamingResponse(parts, media_type="application/octet-stream", headers=headers)

    async def refused(request: Any, error: Any) -> Any:
        status = 413 if isinstance(error, ResourceError) else 422
        return JSONResponse({"error": " ".join(str(error).split())}, status)

    answers: dict[str, Callable[..., Any]] = {
        "/": index,
        "/studies": studies,
        "/plane/{study}/{kind}/{method}/{dose}/{number}": plane,
        "/scores/{study}/{method}/{dose}/{number}": scores,
        "/lesions/{study}": lesions,
        "/volume/{study}.nii": volume,
        "/labels/{study}.nii": labels,
        "/{name}": file,
    }
    for path, answer in answers.items():
        app.add_api_route(path, answer, methods=["GET", "HEAD"], response_model=None)
    app.add_exception_handler(TaskctError, refused)
    return Guard(app, token)


def first_image(layers: Sequence[Layers]) -> None:
    """Read one image of each study, so that a study that cannot be shown fails before the address is printed."""
    for one in layers:
        one.plane("hu", REFERENCE, 0, len(one.study.facts.planes) // 2)
