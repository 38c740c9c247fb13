"""Real photographs that every installation has; README.md beside this file gives their rights."""

from pathlib import Path

FOLDER = Path(__file__).parent
CAT = FOLDER / "cat.jpg"
# Any of these is right for ``CAT``: ImageNet tells the coats apart less well than it tries.
CAT_LABELS = ("tabby", "tiger cat", "Egyptian cat")
