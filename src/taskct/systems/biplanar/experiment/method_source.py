"""Where a step finds a method that is a row already: the network of a training, or a plain row with the setting chosen."""

from __future__ import annotations

from typing import NamedTuple

from taskct.experiments.made import Made
from taskct.recon.population import GaussianPopulation
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.plain_rows import PLAIN, Method
from taskct.systems.biplanar.experiment.row_scores import RowScores, package_method
from taskct.systems.biplanar.experiment.shared_skulls import Skulls


class MethodSource(NamedTuple):
    """A row by its label in tables, with its scores: `trained` is its network, `package` one of the package, or `plain` its
    name in PLAIN.
    """

    label: str
    scored: Made[RowScores]
    plain: str = ""
    package: str = ""
    trained: Made[Method] | None = None
    seed: int | None = None

    def method(self, drawn: Skulls, settings: BiPlanar) -> Method:
        """The method (p, A) -> mu, as it was scored."""
        if self.trained is not None:
            return self.trained.load()
        if self.package:
            return package_method(self.package)
        return PLAIN[self.plain].make(drawn.radiographs("train", settings).truth, self.chosen)

    @property
    def chosen(self) -> float:
        """The setting that was chosen on validation skulls; 0 for a row without one."""
        choice = PLAIN[self.plain].choice
        return 0.0 if choice is None else float(self.scored.load().about[choice.name])


def population_model(drawn: Skulls, settings: BiPlanar, gaussian: MethodSource) -> GaussianPopulation:
    """The Gaussian model of the training skulls, with the setting of its row."""
    return GaussianPopulation(drawn.radiographs("train", settings).truth, sigma=gaussian.chosen)
