"""Whole experiments: graphs of steps, each a folder that is made once, kept, and resumed after a kill."""

from taskct.experiments.engine import run_steps
from taskct.experiments.folder_records import Records
from taskct.experiments.made import Made, call
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step

__all__ = ["Made", "Plan", "Records", "Step", "call", "run_steps"]
