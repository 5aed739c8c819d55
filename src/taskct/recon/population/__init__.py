"""Reconstruction from what is known of a population: its mean, its nearest member, its Gaussian model; all (p, A) -> mu."""

from taskct.recon.population.gaussian import GaussianPopulation
from taskct.recon.population.nearest import MeanImage, NearestImage
from taskct.recon.population.register import Registered, register

__all__ = ["GaussianPopulation", "MeanImage", "NearestImage", "Registered", "register"]
