"""Uploads: their limits, their classification, their page."""
