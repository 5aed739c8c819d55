"""What a notebook sees of images, sinograms, volumes, curves and tables."""

from taskct.report.notebook.show import show
from taskct.report.notebook.shown import Shown

__all__ = ["Shown", "show"]
