"""Dose strategies that are not learnt, oracles, and the comparison of all strategies at one quality."""
