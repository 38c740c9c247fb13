"""What is too old or too much is deleted."""
