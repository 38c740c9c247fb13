"""Training with the rounding that int8 does."""
