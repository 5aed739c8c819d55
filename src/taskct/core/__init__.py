"""Ground floor: units, errors, safe files, seeds, progress, provenance and run folders. Imports nothing of taskct."""
