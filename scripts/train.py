#!/usr/bin/env python3
"""From a folder of pictures to an int8 model: `edge-classify train` for a checkout.

    python scripts/train.py DATA --out RUN

--help lists the options; docs/training.md explains them.
"""

import sys

from edge_classifier.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
