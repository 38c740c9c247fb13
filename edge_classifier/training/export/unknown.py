"""How readily a trained network says "unknown": it may cost the labels so much, and no more."""

import numpy as np

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.core.quantization import Array
from edge_classifier.evaluation.calibration import fit_temperature
from edge_classifier.evaluation.measures import Classes
from edge_classifier.evaluation.unknown import lead_of_most
from edge_classifier.training.export.convert import lower_logit
from edge_classifier.training.export.model_files import ENOUGH, predict_choosing
from edge_classifier.training.train.stages import Job, Trained

# Share of the pictures of other things that may be taken for a label for its sake.
_ACCEPTED_SHARE = 0.2


def hold_back_unknown(job: Job, trained: Trained) -> None:
    """Lower the logit of "unknown" in ``trained``, as the choosing pictures ask for.

    A network learns it as a class like others, and is then surest of it where it has seen little.
    All processes call this together.
    """
    labels = job.data.labels
    if UNKNOWN not in labels:
        return
    predictions = predict_choosing(job, trained)
    if len(predictions.truth) < ENOUGH:
        return
    unknown = labels.index(UNKNOWN)
    cost = job.settings.scores.unknown_cost
    by = excess(predictions.logits, predictions.truth, unknown, cost)
    for network in (trained.network, trained.prepared):
        if by and network:
            lower_logit(network, unknown, by)
    if by:
        job.log(f"unknown: {by:.2f} less likely (logits), so that it costs the labels little")


def excess(logits: Array, truth: Classes, unknown: int, lost_share: float) -> float:
    """By how much the logit of the class ``unknown`` is too high; 0: it is not.

    ``logits`` (N, C), not calibrated, ``truth`` (N,). ``lost_share``: of the other classes'
    pictures, what it may take.
    """
    temperature = fit_temperature(logits, truth)
    known = np.delete(logits, unknown, axis=1)
    ahead = (known.max(axis=1) - logits[:, unknown]) / temperature
    classes = np.delete(np.arange(logits.shape[1]), unknown)
    right = classes[known.argmax(axis=1)] == truth
    wanted = -lead_of_most(ahead[right], lost_share)
    other = ahead[truth == unknown]
    allowed = -np.quantile(other, 1 - _ACCEPTED_SHARE) if len(other) else 0.0
    return float(max(0.0, min(wanted, allowed)) * temperature)
