"""Images as HTML: truth, every method at every dose, differences, and a zoomed region, at stated windows."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import torch
from torch import Tensor

from taskct.evaluation.metrics import rmse
from taskct.evaluation.rows import DoseLevel, Example
from taskct.evaluation.table import Table
from taskct.evaluation.windows import WINDOWS, Window
from taskct.report.number_text import MINUS, dose_label, number

DIFFERENCE_STEPS_HU = (20, 50, 100, 200, 500, 1000)  # half widths of the difference window
_BODY_ABOVE_HU = -500.0
_LESION_WORDS = ("lesion", "tumor", "tumour", "nodule", "cyst", "metasta")


@dataclass(frozen=True)
class Region:
    """Rows y0:y1 and columns x0:x1 of a slice."""

    y0: int
    y1: int
    x0: int
    x1: int

    def of(self, image: Tensor) -> Tensor:
        """The region of an image (Y, X)."""
        return image[self.y0 : self.y1, self.x0 : self.x1]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0


class Encoder:
    """Grey images to data URIs within a budget: lossless PNG first, then JPEG, then JPEG at half resolution.

    `add` returns a key; `finish` encodes all, and `note` then says what was done. `replace` puts the URIs into HTML.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.note = "Lossless images."
        self._images: list[np.ndarray] = []

    def add(self, grey: np.ndarray) -> str:
        """Register an image uint8 (Y, X); the key stands for its URI until `replace`."""
        self._images.append(grey)
        return f"@image-{len(self._images) - 1}@"

    def replace(self, html: str) -> str:
        """`html` with every key replaced by the URI of its image."""
        uris = self._encode()
        return re.sub(r'"@image-(\d+)@"', lambda key: f'"{uris[int(key[1])]}"', html)

    def _encode(self) -> list[str]:
        ways: list[tuple[str, str, int, int]] = [
            ("PNG", "Lossless images.", 0, 1),
            ("JPEG", "Images compressed as JPEG (quality 92) for this page.", 92, 1),
            ("JPEG", "Images compressed as JPEG (quality 80) for this page.", 80, 1),
            ("JPEG", "Large images at half resolution, compressed as JPEG (quality 80) for this page.", 80, 2),
            ("JPEG", "Large images at a quarter of their resolution, compressed as JPEG (quality 70) for this page.", 70, 4),
        ]
        for kind, note, quality, shrink in ways:
            once: dict[tuple[tuple[int, ...], bytes], str] = {}  # a page may show a picture again
            uris = []
            for image in self._images:
                same = image.shape, image.tobytes()
                if same not in once:
                    once[same] = _encode_one(image, kind, quality, shrink)
                uris.append(once[same])
            self.note = note
            if sum(map(len, uris)) <= self.budget_bytes:
                break
        return uris


def picture_section(
    table: Table,
    example: Example,
    encoder: Encoder,
    *,
    window: Window | None = None,
    zoom: Region | None = None,
) -> str:
    """All images of one kept slice: overview of the truth, reconstructions, differences, zoom."""
    window = window or choose_window(table, example)
    zoom = zoom or choose_zoom(example, window)
    crop = body_region(example)
    half_hu = difference_half_width(table, example)
    difference = difference_window(half_hu)

    def tag(image: Tensor, part: Region, scale: Window, words: str, *, kind: str = "full") -> str:
        about = f"{words}: {example.case}, slice {example.slice}"
        return image_tag(encoder.add(to_grey(part.of(image), scale)), part, example.spacing_mm, about, kind=kind)

    def full(image: Tensor, words: str) -> str:
        return tag(image, crop, window, words)

    def error(image: Tensor, words: str) -> str:
        return tag(image - example.truth_hu, crop, difference, f"{words}, minus truth")

    def near(image: Tensor, words: str) -> str:
        return tag(image, zoom, window, f"{words}, zoomed", kind="near")

    truth = f"<figure>{marked(full(example.truth_hu, 'truth'), crop, zoom)}<figcaption>truth</figcaption></figure>"
    blank = f"<p class='key'>{'<br>'.join(difference_words(half_hu))}</p>"
    size = " × ".join(f"{n * s:.0f}" for n, s in zip(zoom.shape, example.spacing_mm, strict=True))
    parts = [
        f"<h3>{escape(example.case)}, slice {example.slice}</h3>",
        f"<p class='key'>{window_words(window)}. Patient's left on the right. RMSE of the slice in HU below each image. "
        "The square marks the zoomed region, the line the profile.</p>",
        _matrix(table, example, truth, full, below=True),
        f"<h4>Difference: reconstruction minus truth, ±{half_hu} HU</h4>",
        _matrix(table, example, blank, error),
        f"<h4>Zoomed region, {size} mm</h4>",
        _matrix(table, example, f"<figure>{near(example.truth_hu, 'truth')}<figcaption>truth</figcaption></figure>", near),
    ]
    return "<section class='slice'>" + "".join(parts) + "</section>"


def to_grey(hu: Tensor, window: Window) -> np.ndarray:
    """HU (Y, X) -> uint8 (Y, X), 0 at the lower and 255 at the upper end of the window."""
    low, high = window.bounds_hu
    return ((hu.double() - low) / (high - low)).clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()


def choose_window(table: Table, example: Example) -> Window:
    """Lung where a good part of the slice is lung, liver where a liver is labelled, else soft tissue."""
    hu = example.truth_hu
    body = _body(hu)
    lung = (hu > -950) & (hu < -600) & body  # blankets and mattresses have the HU of lung, but lie outside
    if float(lung.sum()) > 0.2 * float(body.sum()) > 0:
        return WINDOWS["lung"]
    if any(r.region.lower().startswith("liver") for r in table.rows if r.case == example.case and r.item == example.slice):
        return WINDOWS["liver"]
    return WINDOWS["soft tissue"]


def body_region(example: Example, *, margin: int = 4) -> Region:
    """What of the slice is worth showing: the body with a margin, or all of it."""
    body = example.truth_hu > _BODY_ABOVE_HU
    rows, cols = body.any(1).nonzero().flatten().tolist(), body.any(0).nonzero().flatten().tolist()
    height, width = body.shape
    if len(rows) < 8 or len(cols) < 8:
        return Region(0, height, 0, width)
    return Region(
        max(0, rows[0] - margin),
        min(height, rows[-1] + 1 + margin),
        max(0, cols[0] - margin),
        min(width, cols[-1] + 1 + margin),
    )


def choose_zoom(example: Example, window: Window) -> Region:
    """A square of a fifth of the body: on the largest lesion that is labelled, else where the window shows most structure."""
    crop = body_region(example)
    side = int(min(max(24, round(max(crop.shape) / 5)), *example.truth_hu.shape))
    centre = _lesion(example) or _structure(example, window, side)
    y0 = int(np.clip(centre[0] - side // 2, 0, example.truth_hu.shape[0] - side))
    x0 = int(np.clip(centre[1] - side // 2, 0, example.truth_hu.shape[1] - side))
    return Region(y0, y0 + side, x0, x0 + side)


def difference_half_width(table: Table, example: Example) -> int:
    """Half width of the difference window in HU: the first step that holds 90 % of the typical errors at the middle dose."""
    middle = table.doses[len(table.doses) // 2]
    body = example.truth_hu > _BODY_ABOVE_HU
    return half_width_hu([(hu - example.truth_hu)[body] for (_, dose), hu in example.recon_hu.items() if dose == middle])


def half_width_hu(differences: Sequence[Tensor]) -> int:
    """The first of DIFFERENCE_STEPS_HU that holds 90 % of the values of the typical difference; 100 without any."""
    found = [float(np.quantile(d.abs().float().numpy(), 0.9)) for d in differences if d.numel()]
    if not found:
        return 100
    typical = float(np.median(found))
    return next((s for s in DIFFERENCE_STEPS_HU if s >= typical), DIFFERENCE_STEPS_HU[-1])


def _lesion(example: Example) -> tuple[int, int] | None:
    """Centre of the largest labelled lesion of the slice: what a reader would look at first."""
    names = {v: name.lower() for v, name in example.label_names.items()}
    lesions = [v for v, name in names.items() if any(word in name for word in _LESION_WORDS)]
    if example.labels is None or not lesions:
        return None
    from scipy.ndimage import label

    marked = torch.isin(example.labels, torch.tensor(lesions, dtype=example.labels.dtype))
    parts, count = label(marked.numpy())
    if count == 0:
        return None
    where = np.argwhere(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])).mean(0)
    return int(where[0]), int(where[1])


def _structure(example: Example, window: Window, side: int) -> tuple[int, int]:
    """Centre of the square inside the body with most spread of grey values, neither black nor white filling it."""
    mean = torch.nn.functional.avg_pool2d
    pool = lambda image: mean(mean(image[None, None].double(), (side, 1), stride=1), (1, side), stride=1)[0, 0]
    shown = window.clip(example.truth_hu)
    low, high = window.bounds_hu
    spread = pool(shown**2) - pool(shown) ** 2
    grey = pool((example.truth_hu > low) & (example.truth_hu < high))
    place = int((spread.clamp_min(1e-3) * grey**4 * pool(_body(example.truth_hu)) ** 8).argmax())
    return place // spread.shape[1] + side // 2, place % spread.shape[1] + side // 2


def _body(hu: Tensor) -> Tensor:
    """Which pixels (Y, X) lie inside the patient, lungs and gas among them."""
    from scipy.ndimage import binary_fill_holes, binary_opening

    tissue = binary_opening((hu > _BODY_ABOVE_HU).numpy(), iterations=2)  # without the lines of a table's shell
    return torch.from_numpy(binary_fill_holes(tissue))


def _matrix(table: Table, example: Example, first: str, picture: Callable[[Tensor, str], str], *, below: bool = False) -> str:
    """Doses down, methods across; `first` (truth or key) stands at the left of all rows."""
    methods = [m for m in table.methods if any(name == m for name, _ in example.recon_hu)]
    doses = [d for d in table.doses if any(dose == d for _, dose in example.recon_hu)]
    heads = "".join(f"<th scope='col'>{escape(m)}</th>" for m in methods)
    body = []
    for i, dose in enumerate(doses):
        at = dose_label(dose, table.doses)
        row = [f"<td class='truth' rowspan='{len(doses)}'>{first}</td>"] if i == 0 else []
        row.append(f"<th scope='row' class='dose'><span>{escape(at)}</span></th>")
        row += [f"<td>{_captioned(example, m, dose, picture, at=at, below=below)}</td>" for m in methods]
        body.append("<tr>" + "".join(row) + "</tr>")
    return (
        f"<table class='pictures'><colgroup><col class='truth'><col class='dose'><col span='{len(methods)}'></colgroup>"
        f"<thead><tr><th></th><th></th>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def _captioned(
    example: Example, method: str, dose: DoseLevel, picture: Callable[[Tensor, str], str], *, at: str, below: bool
) -> str:
    hu = example.recon_hu.get((method, dose))
    if hu is None:
        return ""
    shown = picture(hu, f"{method} at {at} dose")
    if not below:
        return shown
    error = rmse(hu[None, None], example.truth_hu[None, None], mask=example.mask)
    return f"<figure>{shown}<figcaption>{number(float(error), 'HU')}</figcaption></figure>"


def image_tag(key: str, part: Region, spacing_mm: tuple[float, float], words: str, *, kind: str = "full") -> str:
    """An image tag of the region's true proportions, whatever the pixel spacing; `words` stand for the image."""
    height, width = (n * s for n, s in zip(part.shape, spacing_mm, strict=True))
    alt = escape(words, quote=True)
    return f'<img class="{kind}" alt="{alt}" style="aspect-ratio:{width:.4g}/{height:.4g}" src="{key}">'


def marked(img: str, crop: Region, zoom: Region, *, profile: bool = True) -> str:
    """The overview with the zoomed square and, unless told otherwise, the profile line drawn on it."""
    rows, cols = crop.shape
    left, top = 100 * (zoom.x0 - crop.x0) / cols, 100 * (zoom.y0 - crop.y0) / rows
    width, height = 100 * zoom.shape[1] / cols, 100 * zoom.shape[0] / rows
    line = 100 * (profile_row(zoom) - crop.y0 + 0.5) / rows
    start, end = profile_columns(zoom, crop)
    marks = f"<rect x='{left:.2f}%' y='{top:.2f}%' width='{width:.2f}%' height='{height:.2f}%'/>"
    if profile:
        marks += (
            f"<line x1='{100 * (start - crop.x0) / cols:.2f}%' x2='{100 * (end - crop.x0) / cols:.2f}%' "
            f"y1='{line:.2f}%' y2='{line:.2f}%'/>"
        )
    return f"<div class='marked'>{img}<svg aria-hidden='true'>{marks}</svg></div>"


def profile_row(zoom: Region) -> int:
    """The image row of the line profile: the middle of the zoomed region."""
    return (zoom.y0 + zoom.y1) // 2


def profile_columns(zoom: Region, crop: Region) -> tuple[int, int]:
    """First and last column (exclusive) of the profile: the zoomed region and as much again on either side."""
    side = zoom.shape[1]
    return max(crop.x0, zoom.x0 - side), min(crop.x1, zoom.x1 + side)


def difference_window(half_hu: int) -> Window:
    """The grey scale of differences: 0 HU in the middle, which is read on dark and on light pages."""
    return Window(0, 2 * half_hu, "difference")


def difference_words(half_hu: int) -> tuple[str, str, str]:
    """What grey, black and white of a difference image mean."""
    return "grey 0 HU", f"black {MINUS}{half_hu} HU or less", f"white +{half_hu} HU or more"


def window_words(window: Window) -> str:
    """What is black and what is white, safe for HTML."""
    black, white = window.bounds_hu
    return f"Window {escape(str(window))}: black at {black:g} HU, white at {white:g} HU".replace("-", MINUS)


def _encode_one(grey: np.ndarray, kind: str, quality: int, shrink: int) -> str:
    from PIL import Image

    image = Image.fromarray(grey)
    if shrink > 1 and min(grey.shape) > 128:
        image = image.resize((max(1, grey.shape[1] // shrink), max(1, grey.shape[0] // shrink)), Image.Resampling.BOX)
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=quality, optimize=True)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode()
