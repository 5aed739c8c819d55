"""Task-adaptive reconstruction, completely: all arms, all readers, all controls."""

from taskct.systems.adaptive.experiment.arms import LOSSES, MODELS, Arm
from taskct.systems.adaptive.experiment.presets import PRESETS
from taskct.systems.adaptive.experiment.settings import TaskAdaptive
from taskct.systems.adaptive.experiment.steps import task_adaptive_steps

__all__ = ["LOSSES", "MODELS", "PRESETS", "Arm", "TaskAdaptive", "task_adaptive_steps"]
