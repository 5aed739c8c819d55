"""The transfer syntaxes that can be read, with which decoder, and what to install or do for the others."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from taskct.core.errors import UnsupportedDataError
from taskct.data.dicom.parse import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, short

RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"


@dataclass(frozen=True)
class Syntax:
    """One transfer syntax: pydicom's decoder plugin, the module it needs, whether it always or maybe loses values."""

    name: str
    plugin: str = ""
    module: str = ""
    lossy: bool = False
    kind: str = "native"
    apart: bool = False  # decoded in a process of its own


_GPL = (
    "decoding it needs pylibjpeg-libjpeg, which is GPL-3.0 and therefore your own choice (pip install pylibjpeg-libjpeg); "
    "or convert the files first, for example with dcmdjpeg of DCMTK"
)
_LOSSLESS = (
    "decoding it needs python-gdcm (pip install 'taskct[jpeg-lossless]', BSD licence), which runs in a process of its own, or "
    "pylibjpeg-libjpeg, which is GPL-3.0; or convert the files first, for example with dcmdjpeg of DCMTK"
)
_EXTRA = "install the decoders with pip install 'taskct[dicom]'"

SYNTAXES = {
    IMPLICIT_LITTLE: Syntax("Implicit VR Little Endian"),
    EXPLICIT_LITTLE: Syntax("Explicit VR Little Endian"),
    EXPLICIT_BIG: Syntax("Explicit VR Big Endian"),
    DEFLATED: Syntax("Deflated Explicit VR Little Endian"),
    RLE: Syntax("RLE Lossless", "pydicom", "", kind="rle"),
    JPEG_BASELINE: Syntax("JPEG Baseline", "pillow", "PIL", lossy=True, kind="jpeg"),
    JPEG_EXTENDED: Syntax("JPEG Extended", "pillow", "PIL", lossy=True, kind="jpeg"),
    "1.2.840.10008.1.2.4.57": Syntax("JPEG Lossless", "pylibjpeg", "libjpeg", kind="jpeg"),
    "1.2.840.10008.1.2.4.70": Syntax("JPEG Lossless SV1", "pylibjpeg", "libjpeg", kind="jpeg"),
    "1.2.840.10008.1.2.4.80": Syntax("JPEG-LS Lossless", "pyjpegls", "jpeg_ls", kind="jpegls"),
    "1.2.840.10008.1.2.4.81": Syntax("JPEG-LS Near-Lossless", "pyjpegls", "jpeg_ls", lossy=True, kind="jpegls"),
    "1.2.840.10008.1.2.4.90": Syntax("JPEG 2000 Lossless", "pylibjpeg", "openjpeg", kind="jpeg2000"),
    "1.2.840.10008.1.2.4.91": Syntax("JPEG 2000", "pylibjpeg", "openjpeg", lossy=True, kind="jpeg2000"),
    "1.2.840.10008.1.2.4.201": Syntax("HTJ2K Lossless", "pylibjpeg", "openjpeg", kind="jpeg2000"),
    "1.2.840.10008.1.2.4.202": Syntax("HTJ2K Lossless RPCL", "pylibjpeg", "openjpeg", kind="jpeg2000"),
    "1.2.840.10008.1.2.4.203": Syntax("HTJ2K", "pylibjpeg", "openjpeg", lossy=True, kind="jpeg2000"),
}


def readable_syntax(path: Path, uid: str, *, bits_stored: int) -> Syntax:
    """The Syntax of `uid`; UnsupportedDataError, saying what to install or do, when it cannot be decoded here."""
    syntax = SYNTAXES.get(uid)
    if syntax is None:
        raise UnsupportedDataError(
            f"{path}: transfer syntax {syntax_name(uid)} cannot be decoded; convert the file to Explicit VR Little Endian "
            "first, for example with dcmconv or dcmdjpeg of DCMTK"
        )
    if uid == JPEG_EXTENDED and bits_stored > 8:
        if not _importable("libjpeg"):
            raise UnsupportedDataError(f"{path}: {syntax.name} with {bits_stored} bits; {_GPL}")
        return Syntax(syntax.name, "pylibjpeg", "libjpeg", lossy=True, kind="jpeg")
    if syntax.module == "libjpeg" and not _importable("libjpeg"):
        if not _importable("gdcm"):
            raise UnsupportedDataError(f"{path}: {syntax.name}; {_LOSSLESS}")
        return replace(syntax, plugin="gdcm", module="gdcm", apart=True)
    if syntax.module and not _importable(syntax.module):
        raise UnsupportedDataError(f"{path}: {syntax.name}; {_EXTRA}")
    return syntax


def syntax_name(uid: str) -> str:
    """A transfer syntax for people: its name where pydicom knows it, else its UID."""
    from pydicom.uid import UID

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on a UID that is none
        known = UID(uid).name if uid else "(none)"
    return known if known != uid else short(uid)


def _importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
