"""As low as reasonably achievable: a dose learnt for each patient, its rivals, and their comparison at one quality."""
