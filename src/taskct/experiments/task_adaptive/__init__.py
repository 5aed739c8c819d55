"""Task-adaptive reconstruction, completely: all arms, all readers, all controls."""

from taskct.experiments.task_adaptive.arms import LOSSES, MODELS, Arm
from taskct.experiments.task_adaptive.plan import task_adaptive_steps
from taskct.experiments.task_adaptive.presets import PRESETS
from taskct.experiments.task_adaptive.settings import TaskAdaptive

__all__ = ["LOSSES", "MODELS", "PRESETS", "Arm", "TaskAdaptive", "task_adaptive_steps"]
