"""Lessons taught: the run, what came of it, and the model that it made."""
