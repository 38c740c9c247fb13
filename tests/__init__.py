"""Tests: ``pure`` without input or output, ``real`` with real models, files and processes."""
