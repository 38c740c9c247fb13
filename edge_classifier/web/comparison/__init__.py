"""Models compared on reviewed pictures."""
