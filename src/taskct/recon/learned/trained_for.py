"""What a reconstruction was trained for, and whether a scan is of that kind."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError, InputError, UnitsError
from taskct.geometry import Grid
from taskct.geometry.beam_config import beam_from_config, beam_to_config, grid_from_config
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned.seen_images import NOT_KNOWN, SeenImages
from taskct.recon.reconstructor import without_settings

Otherwise = Literal["refuse", "warn", "allow"]
_FREE = ("cols", "rows", "start_deg")  # a wider detector or another first view changes nothing that a network has learnt
_CLOSE = 1e-3
_CLOSE_PIXELS = 0.05  # scanners' fields of view differ from patient to patient
_CLOSE_DOSE = 1.05
_LEAST_SAID = 0.05  # degrees and mm of a view that stands elsewhere


@dataclass(frozen=True)
class TrainedFor:
    """Beam, pixels and doses of a training run.

    beam         as plain values, see `beam_to_config`; empty where the run does not say
    spacing_mm   pixels of its grid
    photons      least and most photons per detector pixel in air; None where the run does not say
    shape        of its grid; empty where the run does not say
    mu_water_per_mm  of its images, the unit in which the network knows tissue; None where the run does not say
    electronic_std  read-out noise of its scans, in photons
    seen         the images it learnt from
    """

    run: str
    beam: Mapping[str, Any] = field(default_factory=dict)
    spacing_mm: tuple[float, ...] = ()
    photons: tuple[float, float] | None = None
    shape: tuple[int, ...] = ()
    mu_water_per_mm: float | None = None
    electronic_std: float = 0.0
    seen: SeenImages = field(default=NOT_KNOWN, compare=False, repr=False)

    @classmethod
    def of_config(cls, name: str, config: Mapping[str, Any], *, seen: SeenImages = NOT_KNOWN) -> TrainedFor:
        """From the config that `train` wrote; `name` begins messages. ConfigError where it cannot be such a record."""
        dose, grid, module, beam, units = (_table(config, t, name) for t in ("dose", "grid", "dose_module", "beam", "units"))
        photons = None
        if all(isinstance(dose.get(key), int | float) for key in ("photons", "lowest", "highest")):
            photons = (dose["photons"] * dose["lowest"], dose["photons"] * dose["highest"])
        if "lowest_photons" in module and "highest_photons" in module:  # a dose was learnt with it
            photons = (module["lowest_photons"], module["highest_photons"])
        read_out = {**_table(config, "held", name), **dose}.get("electronic_std", 0.0)
        if isinstance(read_out, bool) or not isinstance(read_out, int | float) or not 0 <= read_out < math.inf:
            raise ConfigError(f"{name}: its config states electronic_std {read_out!r}; expected photons of 0 or more")
        water, image = units.get("mu_water_per_mm"), units.get("image", "1/mm")
        if image != "1/mm":
            raise UnitsError(
                f"{name}: its images are in {image!r} ([units]), and taskct's networks work in 1/mm; convert inside"
            )
        numbers = (*(photons or ()), *([] if water is None else [water]))
        if not all(isinstance(n, int | float) and 0 < n < math.inf for n in numbers):
            raise ConfigError(
                f"{name}: its config states photons {photons} and mu_water_per_mm {water!r}; expected numbers above 0"
            )
        try:
            if beam:
                beam_from_config(beam)
            made = (
                grid_from_config({"shape": [1, 1], **{k: grid[k] for k in ("shape", "spacing_mm") if k in grid}})
                if grid
                else None
            )
        except InputError as error:
            raise type(error)(f"{name}: its config does not hold the scan of its training: {error}") from error
        shape = made.shape if made and "shape" in grid else ()
        return cls(name, beam, made.spacing_mm if made else (), photons, shape, water, read_out, seen)

    @property
    def grid(self) -> Grid | None:
        """The grid of the training; None where the run does not say."""
        return Grid(self.shape, self.spacing_mm) if self.shape and self.spacing_mm else None

    @property
    def words(self) -> str:
        """Beam and grid in a few words."""
        size = " x ".join(f"{n}" for n in self.shape)
        pixels = " x ".join(f"{s:.3g}" for s in dict.fromkeys(self.spacing_mm))
        views = self.beam.get("views", len(self.beam.get("detector_mm", ())) or "?")
        return f"{self.beam.get('kind', 'a')} beam of {views} views, {size} pixels of {pixels} mm"

    def geometry_differences(self, A: Projector) -> list[str]:
        """In what a projector differs from that of the training, in words; empty where it does not."""
        found = []
        if self.beam:
            now = beam_to_config(A.beam)
            if self.beam.get("kind") == now["kind"] == "vector":
                return [*_other_views(self.beam, now), *self._other_pixels(A)]
            names = [n for n in {**self.beam, **now} if n not in _FREE]
            found = [
                f"{name} {_brief(self.beam.get(name))} in training, now {_brief(now.get(name))}"
                for name in names
                if not _near(self.beam.get(name), now.get(name))
            ]
        return [*found, *self._other_pixels(A)]

    def _other_pixels(self, A: Projector) -> list[str]:
        if not self.spacing_mm or _near(self.spacing_mm, A.grid.spacing_mm, _CLOSE_PIXELS):
            return []
        return [f"pixels of {_brief(self.spacing_mm)} mm in training, now {_brief(A.grid.spacing_mm)} mm"]

    def dose_difference(self, dose: Dose) -> str:
        """How a dose lies outside of those of the training, in words; "" for one inside."""
        if self.photons is None:
            return ""
        low, high = self.photons
        if low / _CLOSE_DOSE <= dose.used_photons <= high * _CLOSE_DOSE:
            return ""
        range_ = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"{range_} photons per detector pixel in training, now {dose.used_photons:g}"

    def unit_difference(self, mu_water_per_mm: float) -> str:
        """How attenuation in other images differs from that of the training, in words; "" where it does not."""
        if self.mu_water_per_mm is None or _near(self.mu_water_per_mm, mu_water_per_mm):
            return ""
        return f"water of {self.mu_water_per_mm:.5g}/mm in training, now {mu_water_per_mm:.5g}/mm"


class GeometryWatch:
    """Compares the projector of every call with that of the training; a module that it watches stays picklable."""

    def __init__(self, about: TrainedFor, otherwise: Otherwise) -> None:
        self.about, self.otherwise = about, otherwise
        self.seen: Any = None  # the projector that was compared last

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before each call of the module."""
        A = kwargs.get("A", args[1] if len(args) > 1 else None)
        if self.otherwise == "allow" or not isinstance(A, Projector) or A is self.seen:
            return
        found = self.about.geometry_differences(A)
        if found:
            words = f"was trained for another scan ({'; '.join(found)})"
            self.object_to(words, advice="train a network for this one", error=GeometryError)
        self.seen = A

    def object_to(self, words: str, *, advice: str, error: type[InputError]) -> None:
        """Refuse a use of the network, warn of it or allow it, as `otherwise` says; `advice` says how to do better."""
        said = f"{self.about.run}{words if words.startswith(' ') else f': {words}'}"
        if self.otherwise == "refuse":
            raise error(f"{said}; {advice}, or load it by load_reconstructor({self.about.run!r}, otherwise='warn')")
        if self.otherwise == "warn":
            warnings.warn(said, stacklevel=4)

    def __getstate__(self) -> dict[str, Any]:
        return {"about": self.about, "otherwise": self.otherwise, "seen": None}


def watch(model: nn.Module, about: TrainedFor, *, otherwise: Otherwise) -> None:
    """Let a model compare every scan with those it was trained for; an older watch is replaced."""
    for key, hook in list(model._forward_pre_hooks.items()):
        if isinstance(hook, GeometryWatch):
            del model._forward_pre_hooks[key]
            model._forward_pre_hooks_with_kwargs.pop(key, None)
    model.register_forward_pre_hook(GeometryWatch(about, otherwise), with_kwargs=True)


def trained_for(model: object) -> TrainedFor | None:
    """What a model of `load_reconstructor` was trained for; None for anything else."""
    watching = _watching(model)
    return None if watching is None else watching.about


def check_geometry(method: object, A: Projector) -> None:
    """GeometryError for a network that was trained for another scan, before anything is computed for it.

    A network that was loaded with `otherwise` "warn" gives a warning, with "allow" it passes; so does any other method.
    """
    watching = _watching(method)
    if watching is not None:
        watching(nn.Identity(), (None, A), {})


def check_units(method: object, mu_water_per_mm: float, *, who: str) -> None:
    """UnitsError for a network that was trained on images in which water has another attenuation than in `who`'s scan.

    A network that was loaded with `otherwise` "warn" gives a warning, with "allow" it passes; so does any other method.
    """
    watching = _watching(method)
    if watching is None:
        return
    found = watching.about.unit_difference(mu_water_per_mm)
    if found:
        words = f"was trained in other units than those of {who} ({found})"
        advice = f"open the CT with mu_water_per_mm={watching.about.mu_water_per_mm:.5g}"
        watching.object_to(words, advice=advice, error=UnitsError)


def check_unseen(method: object, patient: str, hu: Callable[[], Tensor], *, who: str) -> None:
    """InputError for a network that learnt from images on which `who` judges it; `hu` gives them, (N, 1, Y, X) in HU.

    A network that was loaded with `otherwise` "warn" gives a warning, with "allow" it passes; so does any other method.
    """
    watching = _watching(method)
    if watching is None or watching.otherwise == "allow" or not len(watching.about.seen.traces):
        return
    found = watching.about.seen.among(patient, hu())
    if found:
        words = f" is judged on images of its own training: {found}"
        watching.object_to(words, advice=f"leave out {who}", error=InputError)


def warn_of_doses(method: object, doses: Iterable[Dose], *, who: str) -> None:
    """A warning, begun by `who`, of doses that the training of a network did not hold; "allow" lets them pass."""
    watching = _watching(method)
    if watching is None or watching.otherwise == "allow":
        return
    outside = [text for text in map(watching.about.dose_difference, doses) if text]
    if outside:
        more = f", and {len(outside) - 1} more" if len(outside) > 1 else ""
        warnings.warn(f"{who} a dose that it was not trained for: {outside[0]}{more}", stacklevel=3)


def common_scan(methods: Iterable[object]) -> TrainedFor | None:
    """The scan for which the networks among some methods were trained; None where none says so.

    Of several, whatever their order: the largest grid, the most read-out noise, and at full dose the photons of the one that
    was trained for the fewest. Raises GeometryError for two that were trained for different ones: no scan suits both.
    """
    known = [about for about in map(trained_for, methods) if about is not None and about.beam]
    for other in known[1:]:
        first = known[0]
        same = all(_near(first.beam.get(n), other.beam.get(n)) for n in {**first.beam, **other.beam} if n not in _FREE)
        if not same or not _near(first.spacing_mm, other.spacing_mm, _CLOSE_PIXELS):
            raise GeometryError(
                f"{first.run} ({first.words}) and {other.run} ({other.words}) were trained for different scans; compare each "
                "with other methods on its own, or name one scan (--beam) with the setting otherwise=warn"
            )
    if len(known) < 2:
        return known[0] if known else None
    ranges = [about.photons for about in known if about.photons]
    most = min((high for _, high in ranges), default=0.0)
    return replace(
        max(known, key=lambda about: (math.prod(about.shape), about.run)),
        photons=(min(low for low, _ in ranges), most) if ranges else None,
        electronic_std=max(about.electronic_std for about in known),
    )


def _watching(method: object) -> GeometryWatch | None:
    method = without_settings(method)
    hooks = method._forward_pre_hooks.values() if isinstance(method, nn.Module) else ()
    return next((hook for hook in hooks if isinstance(hook, GeometryWatch)), None)


def _other_views(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what the views of a vector beam stand elsewhere; numbers of columns and rows change nothing."""
    old, new = (
        {k: np.asarray(v, dtype=float) for k, v in beam.items() if k not in ("kind", "cols", "rows")} for beam in (then, now)
    )
    if set(old) != set(new) or any(old[k].shape != new[k].shape for k in old):
        return [f"{len(then['detector_mm'])} views in training, now {len(now['detector_mm'])}, or of another kind"]
    found = []
    for view in range(len(new["detector_mm"])):
        a, b = ({k: v[view] for k, v in beam.items()} for beam in (old, new))
        if all(np.allclose(a[k], b[k], rtol=_CLOSE, atol=_CLOSE * float(np.abs(a[k]).max())) for k in a):
            continue
        found_mm, found_deg = {}, {}
        if "source_mm" in a:
            found_deg["turned"] = _angle_deg(*(one["detector_mm"] - one["source_mm"] for one in (a, b)))
            found_mm["source"] = float(np.linalg.norm(b["source_mm"] - a["source_mm"]))
        found_mm["detector"] = float(np.linalg.norm(b["detector_mm"] - a["detector_mm"]))
        found_deg["its columns turned"] = _angle_deg(a["col_step_mm"], b["col_step_mm"])
        words = [f"{what} by {angle:.1f} degrees" for what, angle in found_deg.items() if angle >= _LEAST_SAID]
        words += [f"{what} {max(mm, 0.1):.3g} mm elsewhere" for what, mm in found_mm.items() if mm >= _LEAST_SAID]
        pixels = [float(np.linalg.norm(one["col_step_mm"])) for one in (a, b)]
        if not math.isclose(*pixels, rel_tol=_CLOSE):
            words.append(f"columns of {pixels[0]:.3g} mm in training, now {pixels[1]:.3g} mm")
        found.append(f"view {view + 1}: {', '.join(words) or 'rows of another height'}")
    return found


def _angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Between two vectors, 0 to 180."""
    cosine = float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def _table(config: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    """A table of a config; empty where it has none."""
    found = config.get(name, {})
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where}: its config has {name} = {found!r}, expected a table [{name}]")
    return found


def _near(then: Any, now: Any, close: float = _CLOSE) -> bool:
    if isinstance(then, int | float) and isinstance(now, int | float) and not isinstance(then, bool):
        return math.isclose(then, now, rel_tol=close, abs_tol=1e-6)
    if isinstance(then, list | tuple) and isinstance(now, list | tuple):
        return len(then) == len(now) and all(_near(a, b, close) for a, b in zip(then, now, strict=True))
    return bool(then == now)


def _brief(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        short = ", ".join(_brief(v) for v in value[:3])
        return f"({short}{', ...' if len(value) > 3 else ''})"
    return "not given" if value is None else str(value)
