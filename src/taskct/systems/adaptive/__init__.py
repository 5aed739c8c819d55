"""Task-adaptive reconstruction: reconstructions trained for a frozen reader and judged by readers never used in training."""
