"""Small images and their projector; see tests/support/training_fixtures.py."""

from training_fixtures import images, projector

__all__ = ["images", "projector"]
