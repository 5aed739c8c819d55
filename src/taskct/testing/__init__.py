"""Checks that users run on their own projectors and reconstructors."""
