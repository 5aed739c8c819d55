"""Task-adaptive reconstruction, completely: all arms, all readers, all controls."""

from taskct.systems.adaptive.experiment.adaptive_arms import LOSSES, MODELS, Arm
from taskct.systems.adaptive.experiment.adaptive_presets import PRESETS
from taskct.systems.adaptive.experiment.adaptive_settings import TaskAdaptive
from taskct.systems.adaptive.experiment.adaptive_steps import task_adaptive_steps

__all__ = ["LOSSES", "MODELS", "PRESETS", "Arm", "TaskAdaptive", "task_adaptive_steps"]
