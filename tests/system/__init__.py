"""Tests against whole systems that are built for the purpose; they need root, and minutes."""
