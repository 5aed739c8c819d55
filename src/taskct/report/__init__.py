"""Tables -> figures and pages."""

from taskct.report.geometry_figure import draw_geometry
from taskct.report.notebook import Shown, show
from taskct.report.report_page import write_report
from taskct.report.verdict import Statement, verdict

__all__ = ["Shown", "Statement", "draw_geometry", "show", "verdict", "write_report"]
