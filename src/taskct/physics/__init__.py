"""The physics: line integrals, filters, dose and noise."""
