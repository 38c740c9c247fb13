"""Runs the command line as ``python -m edge_classifier``."""

import sys

from edge_classifier.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
