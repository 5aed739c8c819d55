"""What all built-in patients are painted with: seeded draws, smooth random fields, and shapes."""
