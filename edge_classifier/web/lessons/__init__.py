"""Lessons: classes that are filled with pictures, to teach a model new labels."""
