"""Would more pictures help? A head, trained with ever more of them."""

import copy
import math
from dataclasses import replace

import numpy as np

from edge_classifier.evaluation.measures import Share
from edge_classifier.evaluation.report_data import CurvePoint
from edge_classifier.training import networks
from edge_classifier.training.data.examples import FeatureExamples
from edge_classifier.training.train.loop import fit
from edge_classifier.training.train.plan import best_of
from edge_classifier.training.train.stages import Job, features, head_plan

PARTS = (0.1, 0.25, 0.5, 1.0)


def learning_curve(job: Job) -> tuple[CurvePoint, ...]:
    """Accuracy of a head on features of the first weights, learned from each of ``PARTS``.

    Fine-tuning anew for each part would take as many times as long; how the head's curve rises
    at its end says as much. Raises what building and ``fit`` raise.
    """
    network = networks.build(job.settings.network, len(job.data.labels), seed=job.settings.seed)
    learn, held = features(job, network)
    values, labels = learn.computed
    # Each class's pictures in an order drawn by the seed: smaller parts lie in larger ones.
    random = np.random.default_rng(job.settings.seed)
    shuffled = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    points = []
    for part in PARTS:
        chosen = [indexes[: math.ceil(part * len(indexes))] for indexes in shuffled]
        drawn = sorted(np.concatenate(chosen).tolist())
        some = FeatureExamples(values[drawn], labels[drawn])
        job.log(f"learning curve: the head on {len(some)} pictures")
        folder = job.options.folder / "learning-curve" / f"{part:g}"
        options = replace(job.options, folder=folder, resume=False)
        history = fit(copy.deepcopy(network.classifier), head_plan(job), some, held, options)
        hits = round(best_of(history).held_accuracy * len(held))
        points.append(CurvePoint(part, len(some), Share(hits, len(held))))
    return tuple(points)
