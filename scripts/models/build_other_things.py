#!/usr/bin/env python3
"""Make the features of other things that `edge-classify teach` learns `unknown` from.

    python scripts/models/build_other_things.py FOLDER [--base NAME --count N]

FOLDER: pictures of as many kinds of things as possible. Written to models/, for each base; both
files together must stay below 400 kB, because they are in the wheel. Pictures cannot be restored
from features: each is 1280 means over a whole picture.
"""

import argparse
import random
from pathlib import Path

import numpy as np

from edge_classifier.core.geometry import least_size
from edge_classifier.teach.base import open_base
from edge_classifier.teach.other_things import write_other_things
from edge_classifier.vision.pictures import find_pictures, load_picture
from edge_classifier.vision.preprocess import Preprocessor

MODELS = Path(__file__).resolve().parents[2] / "models"
SEED = 20261129


def main() -> None:
    """Draw pictures, run them through the base, write what it makes of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", default="efficientnet-lite0")
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    base = open_base(options.base)
    found = sorted(find_pictures([str(options.folder)]))
    drawn = random.Random(SEED).sample(found, min(options.count, len(found)))  # noqa: S311
    preprocessor = Preprocessor(base.contract, base.engine.input, base.engine.picture)
    rows = []
    for name in sorted(drawn):
        preprocessor.write(load_picture(name, at_least=least_size(base.contract)).frame)
        base.engine.invoke()
        rows.append(np.array(base.engine.scores, np.int8))
    path = write_other_things(base, np.stack(rows), MODELS)
    print(f"{path}: {len(rows)} pictures, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
