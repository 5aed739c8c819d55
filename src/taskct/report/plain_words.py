"""The words of a page's first screen that a physicist may not know, each in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape, unescape

WORDS: Mapping[str, str] = {
    "photons per (?:detector )?pixel|photons": "X-ray quanta that reach a detector pixel in each view without a patient; the "
    "dose is proportional to them",
    "FBP|fbp": "filtered back-projection",
    "TV|tv_min": "iterative reconstruction that keeps edges and smooths what lies between them (total variation)",
    "CGLS|cgls": "iterative least squares (conjugate gradients)",
    "SIRT|sirt": "iterative reconstruction in small equal steps",
    "U-Net": "a network that takes noise out of the FBP image",
    "ItNet": "two such networks with a step towards the measured data between them",
    "Learned Primal-Dual": "a network that goes to and fro between the image and the measured data",
    "unseen readers?": "networks that outline lesions in an image and had no part in training the reconstructions",
    "readers?": "a network that outlines lesions in an image",
    "task loss": "training of a reconstruction that asks a reader: the label loss and the feature loss",
    "image loss": "training for the smallest error of the image alone",
    "label loss": "training in which a fixed reader has to outline the lesion in the image as well; .9 is the weight of that",
    "feature loss": "training in which the image has to look to a fixed reader as the full-dose image does",
    "Dice": "agreement of what is marked with the truth, from 0 (none) to 1 (all of it)",
    "threshold shift": "a gain that is gone once the cut-off above which readers mark a lesion is set anew for each method",
    "only after re-tuning": "a gain that is seen only once that cut-off is set anew for each method",
    "negative control": "a training that cannot help, such as one with the labels of other patients",
    "confirmed": "a gain whose corrected p is below .05 and which no check explains away",
    "harm": "a loss that is as sure as a confirmed gain would be",
    "one false alarm per image": "readers are set to mark one wrong place per image",
    "PSNR3D|PSNR": "peak signal-to-noise ratio; higher is nearer to the truth",
    "SSIM": "similarity of structure, from 0 to 1; higher is nearer to the truth",
    "MAE": "mean absolute error",
    "AUC": "area under the ROC curve: 0.5 is guessing, 1 is perfect",
}
"""Pattern of a word -> what it means. The first way to write it names it in the key."""


def plain_text(html: str) -> str:
    """The text of HTML without tags."""
    return unescape(re.sub(r"<[^>]*>", " ", html))


def word_key(html: str, own: Mapping[str, str] | None = None) -> str:
    """The words that `html` uses and what they mean, in the order in which they occur; '' for none.

    `own` adds to WORDS, and says what a word of WORDS means here; "" leaves it out.

    >>> word_key("<p>FBP is not TVs</p>")
    "<dl class='words' id='key'><div><dt>FBP</dt><dd>filtered back-projection</dd></div></dl>"
    """
    text = plain_text(html)
    found: dict[int, tuple[str, str]] = {}
    wanted = {**WORDS, **(own or {})}
    if "unseen reader" in text:
        del wanted["readers?"]
    for pattern, meaning in wanted.items():
        place = re.search(rf"(?<![\w-])(?:{pattern})(?![\w])", text)
        if place is not None and meaning:
            found[place.start()] = place[0], meaning
    items = "".join(
        f"<div><dt>{escape(word)}</dt><dd>{escape(meaning)}</dd></div>" for _, (word, meaning) in sorted(found.items())
    )
    return f"<dl class='words' id='key'>{items}</dl>" if items else ""
