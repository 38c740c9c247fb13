"""A model for many devices: one first, the rest when that one does well, and all of them back."""
