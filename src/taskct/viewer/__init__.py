"""A local page that shows runs and CT: methods and doses side by side, readers' contours, a dose slider, three planes."""

from taskct.viewer.input_studies import FRACTIONS, ViewPlan, open_studies, plan_view
from taskct.viewer.picture_layers import Layers
from taskct.viewer.view_server import require_viewer, serve_view

__all__ = ["FRACTIONS", "Layers", "ViewPlan", "open_studies", "plan_view", "require_viewer", "serve_view"]
