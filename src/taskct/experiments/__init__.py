"""Whole experiments: graphs of named steps, each a folder that is made once, kept, and gone on with after a kill."""

from taskct.experiments.engine import run_steps
from taskct.experiments.records import Records
from taskct.experiments.steps import Step

__all__ = ["Records", "Step", "run_steps"]
