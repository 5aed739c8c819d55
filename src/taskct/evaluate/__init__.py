"""Methods x cases x doses -> a table of measured numbers."""
