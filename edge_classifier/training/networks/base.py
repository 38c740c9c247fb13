"""What every network has: blocks, the mean over the picture, and a head, one logit a class."""

from typing import ClassVar

from torch import Tensor, nn

from edge_classifier.training.networks.blocks import Tap

_WIDE, _NARROW = 1024, 256


class Convnet(nn.Module):
    """``features``, then ``pool``, then ``classifier``."""

    # As people call the architecture.
    title: ClassVar = ""

    def __init__(self, blocks: list[nn.Module], outputs: int) -> None:
        super().__init__()
        # Number of features that the classifier gets.
        self.outputs = outputs
        self.features = nn.Sequential(*blocks)
        self.entry, self.pool = Tap(), Tap()
        # The head; the features pass through as long as there is none.
        self.classifier: nn.Module = nn.Identity()

    def pooled(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), RGB, (pixel - 128) / 128, sides multiples of 32, to (N, outputs)."""
        # Without keepdim the converter leaves a TRANSPOSE before the mean.
        pooled: Tensor = self.pool(self.features(self.entry(x)).mean((2, 3), keepdim=True))
        return pooled.flatten(1)

    def blocks(self) -> list[nn.Module]:
        """What can be frozen one by one, in order from the picture on."""
        return list(self.features)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures as in ``pooled`` to logits (N, classes)."""
        logits: Tensor = self.classifier(self.pooled(x))
        return logits


def linear_head(features: int, classes: int, dropout: float = 0.0) -> nn.Sequential:
    """(N, features) to logits (N, classes) by one layer; its keys are torchvision's."""
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(features, classes))


def dense_head(features: int, classes: int) -> nn.Sequential:
    """(N, features) to logits (N, classes) by way of 1024 and 256 features."""
    return nn.Sequential(
        nn.Linear(features, _WIDE),
        nn.ReLU(),
        nn.Linear(_WIDE, _NARROW),
        nn.ReLU(),
        nn.Linear(_NARROW, classes),
    )
