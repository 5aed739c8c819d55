"""Tables -> figures and pages."""

from taskct.report.geometry_figure import draw_geometry
from taskct.report.report_page import write_report
from taskct.report.verdict import Statement, verdict

__all__ = ["Statement", "draw_geometry", "verdict", "write_report"]
