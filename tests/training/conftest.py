"""The fixtures of trainings; see tests/support/training_fixtures.py."""

from training_fixtures import checks, dose, images, model, projector, reader_run, task

__all__ = ["checks", "dose", "images", "model", "projector", "reader_run", "task"]
