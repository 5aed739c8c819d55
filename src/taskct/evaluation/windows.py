"""Display windows by name: level and width in HU, as radiologists set them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from taskct.core.errors import InputError, unknown_name


@dataclass(frozen=True)
class Window:
    """Level and width in HU: `level_hu - width_hu / 2` is shown black, `level_hu + width_hu / 2` white.

    >>> Window(40, 400).bounds_hu
    (-160.0, 240.0)
    """

    level_hu: float
    width_hu: float
    name: str = "window"

    def __post_init__(self) -> None:
        if not (self.width_hu > 0 and abs(self.level_hu) < 1e6 and self.width_hu < 1e6):
            raise InputError(f"a window expects a level and a positive width in HU, got {self.level_hu!r}, {self.width_hu!r}")

    @property
    def bounds_hu(self) -> tuple[float, float]:
        """The HU shown black and the HU shown white."""
        return float(self.level_hu - self.width_hu / 2), float(self.level_hu + self.width_hu / 2)

    def clip(self, hu: Tensor) -> Tensor:
        """HU limited to what the window shows, same shape."""
        return hu.clamp(*self.bounds_hu)

    def __str__(self) -> str:
        return f"{self.name} (level {self.level_hu:g}, width {self.width_hu:g} HU)"


def window_named(window: str | Window | tuple[float, float]) -> Window:
    """A Window from its name in WINDOWS, from (level, width) in HU, or as it is.

    >>> str(window_named("liver"))
    'liver (level 60, width 160 HU)'
    """
    if isinstance(window, Window):
        return window
    if isinstance(window, str):
        if window not in WINDOWS:
            raise unknown_name("window", window, WINDOWS)
        return WINDOWS[window]
    try:
        level_hu, width_hu = (float(number) for number in window)
    except (TypeError, ValueError) as error:
        raise InputError(f"a window is a name ({', '.join(WINDOWS)}) or two numbers (level, width), got {window!r}") from error
    return Window(level_hu, width_hu)


WINDOWS = {
    "soft tissue": Window(40, 400, "soft tissue"),
    "liver": Window(60, 160, "liver"),
    "lung": Window(-600, 1500, "lung"),
    "bone": Window(400, 1800, "bone"),
    "brain": Window(40, 80, "brain"),
}
