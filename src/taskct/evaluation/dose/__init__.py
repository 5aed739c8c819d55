"""Dose that is enough: searches, strategies beside one another at one quality, and proof on fresh noise."""

from taskct.evaluation.dose.answer import Certificate, DoseAnswer, TargetAnswer
from taskct.evaluation.dose.dose_settings import DoseSearch
from taskct.evaluation.dose.search import optimise_dose
from taskct.evaluation.dose.target import Target, parse_keep, parse_target

__all__ = [
    "Certificate",
    "DoseAnswer",
    "DoseSearch",
    "Target",
    "TargetAnswer",
    "optimise_dose",
    "parse_keep",
    "parse_target",
]
