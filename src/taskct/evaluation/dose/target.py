"""Targets in words: which image quality has to be kept, in which convention, and how much of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskct.core.errors import ConfigError, InputError, unknown_name

CONVENTIONS = ("image range", "fixed range")
_RANGED = ("psnr", "ssim")
_REGIONAL = ("rmse_hu", "noise_sd_hu")
_LOWER = ("rmse_hu", "noise_sd_hu")
_QUALITIES = {"psnr": "PSNR", "ssim": "SSIM", "rmse_hu": "RMSE", "noise_sd_hu": "noise SD"}
_FORM = re.compile(r"(?P<name>[^<>=\[\]]+?)\s*(\[(?P<inside>[^\]]*)\])?\s*(?P<op><=|>=|<|>|=+)\s*(?P<bound>.+)")
_EXAMPLES = "tumour.dice>=0.95*full, psnr[image range]>=38.57, rmse_hu<=20, noise_sd_hu[liver]<=12"


@dataclass(frozen=True)
class Target:
    """A quality and its bound.

    name         psnr, ssim (with a `convention`), rmse_hu, noise_sd_hu (with a `region` or without), or CLASS.dice
    bound        the number to reach; with `of_full` the share of what full dose gives
    """

    name: str
    bound: float
    of_full: bool = False
    convention: str = ""
    region: str = ""

    def __post_init__(self) -> None:
        plain = self.name if self.name in (*_RANGED, *_REGIONAL) else self.name.rpartition(".")[2]
        if plain not in (*_RANGED, *_REGIONAL, "dice") or (plain == "dice" and not self.name.rpartition(".")[0]):
            raise unknown_name("quality", self.name, [*_RANGED, *_REGIONAL, "CLASS.dice (tumour.dice)"])
        if not (math.isfinite(self.bound) and self.bound > 0):
            raise ConfigError(f"{self.name}: expected a bound above 0, got {self.bound!r}")
        if self.name in _RANGED and self.convention not in CONVENTIONS:
            got = f"[{self.convention}]" if self.convention else "none"
            raise ConfigError(
                f"{self.name} has no meaning without its data range, got {got}; name it: {self.name}[image range] takes "
                f"max - min of each true image (DIVal, LoDoPaB's PSNR), {self.name}[fixed range] one number for all (its "
                "PSNR-FR). On CT they differ by several dB, the first one being lower"
            )
        if self.name == "psnr" and not self.of_full and not 5 <= self.bound <= 100:
            raise ConfigError(f"psnr expects a bound in dB, from 5 to 100, got {self.bound:g}")
        if self.name == "ssim" and not self.of_full and self.bound > 1:
            raise ConfigError(f"ssim expects a bound up to 1, got {self.bound:g}")
        if plain == "dice" and self.bound > 1:
            raise ConfigError(f"{self.name} expects a bound up to 1, got {self.bound:g}; 95 % of full dose is 0.95*full")
        if self.of_full and (self.bound < 1) == (self.lower) and self.bound != 1:
            way = "above 1 (1.1*full: a tenth worse)" if self.lower else "up to 1 (0.95*full: a twentieth worse)"
            raise ConfigError(f"{self.name}: a share of full dose is expected {way}, got {self.bound:g}*full")

    @property
    def lower(self) -> bool:
        """Whether less is better."""
        return self.name in _LOWER

    @property
    def sign(self) -> float:
        """1 where more is better, -1 where less is."""
        return -1.0 if self.lower else 1.0

    @property
    def key(self) -> str:
        """Quality with its convention or region: psnr[image range]."""
        inside = self.convention or self.region
        return f"{self.name}[{inside}]" if inside else self.name

    @property
    def class_name(self) -> str:
        """Of CLASS.dice: the class; '' for others."""
        return self.name.rpartition(".")[0]

    @property
    def unit(self) -> str:
        """Unit of the quality."""
        return {"psnr": "dB", "rmse_hu": "HU", "noise_sd_hu": "HU"}.get(self.name, "")

    @property
    def quality(self) -> str:
        """The quality as figures and tables name it.

        >>> parse_target("noise_sd_hu[liver]<=12").quality, parse_target("tumour.dice>=0.9").quality
        ('noise SD in the liver', 'Dice of the tumour')
        """
        if self.class_name:
            return f"Dice of the {self.class_name}"
        of = f"{self.convention.replace(' ', '-')} " if self.convention else ""
        return f"{of}{_QUALITIES[self.name]}" + (f" in the {self.region}" if self.region else "")

    @property
    def words(self) -> str:
        """The quality and its bound inside a sentence.

        >>> parse_target("noise_sd_hu[liver]<=12").words
        'a noise SD in the liver of at most 12 HU'
        >>> parse_target("psnr[image range]>=36").words
        'an image-range PSNR of at least 36 dB'
        >>> parse_target("tumour.dice>=0.95*full").words
        'a Dice of the tumour of at least 95 % of that at full dose'
        """
        article = "an" if self.quality.startswith(("RMSE", "image")) else "a"
        unit = f" {self.unit}" if self.unit else ""
        bound = f"{100 * self.bound:g} % of that at full dose" if self.of_full else f"{self.bound:g}{unit}"
        return f"{article} {self.quality} of at {'most' if self.lower else 'least'} {bound}"

    def __str__(self) -> str:
        sign = "<=" if self.lower else ">="
        return f"{self.key}{sign}{self.bound:g}" + ("*full" if self.of_full else "")


def parse_target(text: str) -> Target:
    """A target from words; ConfigError with advice for one that does not say its convention or points the wrong way.

    >>> str(parse_target("tumour.dice >= 0.95*full"))
    'tumour.dice>=0.95*full'
    >>> parse_target("psnr[image range]>=38.57").convention
    'image range'
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"a target expects QUALITY>=NUMBER or QUALITY>=SHARE*full, got {text!r}; for example {_EXAMPLES}")
    name, inside, op = match["name"].strip(), (match["inside"] or "").strip(), match["op"]
    if op not in ("<=", ">="):
        raise ConfigError(f"a target expects >= or <=, got {op!r} in {text!r}")
    number, of_full = _bound(match["bound"], text)
    regional = name in _REGIONAL
    if inside and not regional and name not in _RANGED:
        raise ConfigError(f"{name} takes no [{inside}]; a task's score names its class: tumour.dice")
    if regional and inside in CONVENTIONS:
        raise ConfigError(f"{name} is in HU and needs no data range; brackets name a labelled region: {name}[liver]")
    target = Target(name, number, of_full, "" if regional else inside, inside if regional else "")
    if (op == "<=") != target.lower:
        way = "lower" if target.lower else "higher"
        raise ConfigError(f"{target.name} is better when it is {way}, got {text!r}; write {target}")
    return target


def parse_keep(keep: Mapping[str, float | str] | Sequence[str] | str) -> list[Target]:
    """Targets of a dict {quality: bound} or of texts.

    In a dict a number for a task's score is a share of full dose's, for any other quality the bound itself; texts such as
    ">=0.8" or "0.95*full" say it themselves.

    >>> [str(t) for t in parse_keep({"tumour.dice": 0.95, "rmse_hu": 20})]
    ['tumour.dice>=0.95*full', 'rmse_hu<=20']
    """
    if isinstance(keep, str):
        keep = [keep]
    if not isinstance(keep, Mapping):
        found = [parse_target(text) for text in keep]
    else:
        found = []
        for name, bound in keep.items():
            if isinstance(bound, str):
                words = bound.strip()
                sign = "" if words[:2] in ("<=", ">=") else ("<=" if name.partition("[")[0].strip() in _LOWER else ">=")
                found.append(parse_target(f"{name}{sign}{words}"))
            else:
                sign = "<=" if name.partition("[")[0].strip() in _LOWER else ">="
                end = "*full" if name.endswith(".dice") else ""
                found.append(parse_target(f"{name}{sign}{bound!r}{end}"))
    if not found:
        raise InputError(f"a dose search expects a quality to keep, got none; for example {_EXAMPLES}")
    keys = [t.key for t in found]
    if len(set(keys)) < len(keys):
        raise ConfigError(f"a quality is kept by one bound, got two for {max(keys, key=keys.count)}")
    return found


def _bound(words: str, text: str) -> tuple[float, bool]:
    share, star, full = words.replace(" ", "").partition("*")
    if star and full != "full" and share == "full":
        share, full = full, share
    try:
        number = float(share.removesuffix("dB").removesuffix("HU"))
    except ValueError:
        number = math.nan
    if math.isnan(number) or (star and full != "full"):
        raise ConfigError(f"a bound expects a number or SHARE*full, got {words!r} in {text!r}; for example {_EXAMPLES}")
    return number, bool(star)
