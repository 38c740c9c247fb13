"""Uploading pictures, and what was recognized in them."""
