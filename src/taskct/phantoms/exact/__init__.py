"""Bodies of ellipses and ellipsoids, whose line integrals are known in closed form."""
