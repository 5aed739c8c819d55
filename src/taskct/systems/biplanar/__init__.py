"""System D: bi-planar radiographs of a skull to a volume, beside what any network has to beat."""
