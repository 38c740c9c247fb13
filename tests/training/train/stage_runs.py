"""Pictures that are easy to tell apart, and networks that are to learn it."""

import numpy as np
from torch import nn

from edge_classifier.training.data.examples import FeatureExamples
from edge_classifier.training.train.plan import StagePlan

HEAD = StagePlan(stage="head", epochs=4, batch=8, rate=0.05)


FINETUNE = StagePlan(stage="finetune", epochs=2, batch=8, rate=1e-3)


def separable(count: int = 30) -> FeatureExamples:
    """Features of three classes that a line tells apart."""
    labels = np.arange(count) % 3
    noise = np.random.default_rng(1).normal(0, 0.1, (count, 4))
    return FeatureExamples((np.eye(3, 4)[labels] + noise).astype(np.float32), labels)


def linear() -> nn.Linear:
    layer = nn.Linear(4, 3)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
