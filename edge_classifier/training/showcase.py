"""A picture of what augmentation does, for the report: seen once, a wrong setting is obvious."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from edge_classifier.core.frame import Frame
from edge_classifier.training.examples import PictureExamples
from edge_classifier.vision.draw import ContactSheet
from edge_classifier.vision.preprocess import Pixels

# From so many pictures on a contact sheet has small tiles, which do here.
_MANY = 101


def augmentation_picture(examples: PictureExamples, rows: int = 10, variants: int = 7) -> Pixels:
    """A sheet, BGR: each row a picture as the device sees it, then as training's first epochs do.

    The pictures are spread evenly over ``examples``. Raises PictureError.
    """
    rows = min(rows, len(examples))
    places = np.linspace(0, len(examples) - 1, rows, dtype=int).tolist()
    return np.vstack([_row(examples, place, variants) for place in places])


def _row(examples: PictureExamples, index: int, variants: int) -> Pixels:
    sample = examples.samples[index]
    label = examples.contract.labels[sample.label]
    tiles = [_tile(examples.plain(index)[0], label, sample.path.name)]
    for epoch in range(variants):
        varied, truth = examples[epoch, index]
        name = _truth_text(truth, examples.contract.labels)
        tiles.append(_tile(varied.numpy(), f"epoch {epoch + 1}", name))
    return np.hstack(tiles)


def _truth_text(truth: int | Tensor, labels: Sequence[str]) -> str:
    if isinstance(truth, int):
        return labels[truth]
    shares = zip(labels, truth.tolist(), strict=True)
    return ", ".join(f"{label} {share:.0%}" for label, share in shares if share >= 0.005)


def _tile(pixels: Pixels, caption: str, name: str) -> Pixels:
    sheet = ContactSheet(_MANY)
    sheet.add(Frame(pixels), name, caption)
    return sheet.render()
