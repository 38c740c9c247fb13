"""The model card inside the file: what it is, what it learned from, what it may be used for."""

from collections import Counter

from edge_classifier.evaluation.measures import Share, wilson
from edge_classifier.training import networks
from edge_classifier.training.train.stages import Job


def card(job: Job, share: Share, temperature: float) -> str:
    """Markdown. ``share`` is how often the rounded network is right on held-out pictures."""
    network, material = job.settings.network, job.material
    learned = Counter(sample.label for sample in material.learn.samples)
    held = Counter(sample.label for sample in material.held.samples)
    low, high = wilson(share.hits, share.count)
    interval = f"{100 * low:.1f} to {100 * high:.1f} %, 95 % interval"
    counts = [
        f"  - {label}: {learned[number]} and {held[number]}"
        for number, label in enumerate(material.labels)
    ]
    how = "as the network gives them" if temperature == 1.0 else "calibrated"
    text = f"""\
# {material.learn.root.resolve().name}, {network.name}, int8

Says which of {len(material.labels)} labels a picture shows. Input {network.size} x {network.size}
RGB, int8 (pixel - 128); output probabilities, int8. contract.json says how to crop and resize.

- Right on {share.hits} of {share.count} held-out pictures ({interval}).
  They also chose the best epoch: other pictures of the same kind may be a little harder.
- Scores are {how}: a temperature of {temperature:.3f}.
- Data: SHA-256 {material.fingerprint}; seed {job.settings.seed}.
- Licence of the pictures: ask where they come from.
- Pictures learned from and held out, by label:
"""
    return text + "\n".join(counts) + "\n" + networks.provenance(network)
