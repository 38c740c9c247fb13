"""The page of one camera: what it has shown, and what reviewers change of it."""
