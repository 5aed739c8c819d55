"""Cases: reading, writing and splitting CT, and phantoms whose truth is known."""
