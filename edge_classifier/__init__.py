"""edge-classifier: a camera on a small computer says what it sees.

The package is layered; docs/architecture.md draws it and a test holds it. Importing this
module loads neither numpy nor OpenCV nor a TFLite runtime.
"""

__version__ = "0.1.0"
