"""The classical demo: analytic and iterative reconstructions of a few patients at four doses, without any network."""
