"""Checks that users run on their own projectors, reconstructors and tasks; each returns `Findings` that print and raise."""

from taskct.testing.check_findings import CheckFailedError, Finding, Findings
from taskct.testing.check_projector import adjoint_error, check_projector
from taskct.testing.check_reconstructor import check_reconstructor
from taskct.testing.check_task import check_task

__all__ = ["CheckFailedError", "Finding", "Findings", "adjoint_error", "check_projector", "check_reconstructor", "check_task"]
