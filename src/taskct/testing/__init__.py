"""Checks that users run on their own projectors and reconstructors; each returns `Findings` that print and raise."""

from taskct.testing.findings import CheckFailedError, Finding, Findings
from taskct.testing.projector import adjoint_error, check_projector
from taskct.testing.reconstructor import check_reconstructor

__all__ = ["CheckFailedError", "Finding", "Findings", "adjoint_error", "check_projector", "check_reconstructor"]
