"""Public data sets: their folder layouts, their recipes, and a catalogue with licences."""
