"""What the class "unknown" costs the others."""

import numpy as np

from edge_classifier.core.quantization import Array

# By how many logits a picture may miss being lost and still count in part: where none of fifty is
# lost, some of a thousand will be.
_NEARLY_LOST = 1.0
# Of the widest range that logits have, less than one part in 10^11 is left.
_HALVINGS = 40


def lead_of_most(lead: Array, lost_share: float) -> float:
    """The lead that all but ``lost_share`` of such pictures have, to judge by these few.

    ``lead`` (N,): by how many calibrated logits what is right is ahead of what it might be lost
    to. 0 of no pictures.
    """
    if not len(lead):
        return 0.0
    low, high = float(lead.min()) - 20 * _NEARLY_LOST, float(lead.max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        lost = (0.5 + 0.5 * np.tanh((middle - lead) / (2 * _NEARLY_LOST))).mean()
        low, high = (low, middle) if lost > lost_share else (middle, high)
    return low
