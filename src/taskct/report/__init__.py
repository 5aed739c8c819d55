"""Tables -> figures and pages."""

from taskct.report.geometry_figure import draw_geometry
from taskct.report.verdict import Statement, verdict
from taskct.report.write import write_report

__all__ = ["Statement", "draw_geometry", "verdict", "write_report"]
