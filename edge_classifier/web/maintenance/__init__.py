"""Deleting what is too old or too much."""
