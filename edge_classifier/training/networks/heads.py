"""Heads: what turns a network's features into one logit a class."""

from torch import nn

_WIDE, _NARROW = 1024, 256


def linear(features: int, classes: int, dropout: float = 0.0) -> nn.Sequential:
    """(N, features) to logits (N, classes) by one layer; its keys are torchvision's."""
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(features, classes))


def dense(features: int, classes: int) -> nn.Sequential:
    """(N, features) to logits (N, classes) by way of 1024 and 256 features."""
    return nn.Sequential(
        nn.Linear(features, _WIDE),
        nn.ReLU(),
        nn.Linear(_WIDE, _NARROW),
        nn.ReLU(),
        nn.Linear(_NARROW, classes),
    )
