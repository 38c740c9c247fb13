"""What the records and pictures of a device say of two models."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.web.installed_models.store import InstalledModel
from edge_classifier.web.models import Camera, Record
from edge_classifier.web.records import picture_storage
from edge_classifier.web.rollouts.verdict import UnknownTime
from edge_classifier.web.worker.messages import CropBox
from edge_classifier.web.worker.picture_worker import PictureWorker

_DAY = timedelta(days=1)
# Days before, of which the same hours are looked at: a garden is another one at night.
_DAYS = 7
# Spells that are read of one stretch of time; a camera that flickers is known by the first ones.
_MOST_SPELLS = 5000
# Pictures that both models look at, the newest; their longer side.
MOST_PICTURES = 24
_PICTURE_PX = 640

Stretch = tuple[datetime, datetime]


def before_and_after(
    camera: Camera, model_before: str, since: datetime, now: datetime
) -> tuple[UnknownTime, UnknownTime]:
    """The time in ``unknown`` with the model before ``since``, and from then on.

    Before: as long a time just before, and the same hours of the days before that, as far as the
    records are of ``model_before``.
    """
    lasted = now - since
    stretches = [(since - lasted, since)]
    if lasted < _DAY:
        days = [day * _DAY for day in range(1, _DAYS + 1)]
        stretches += [(since - day, now - day) for day in days if now - day > camera.first_seen]
    # Of a long watch just before its own day, two stretches would count the same hours twice.
    apart = [one for one in stretches[1:] if one[1] <= since - lasted]
    before = UnknownTime()
    for stretch in (stretches[0], *apart):
        before += unknown_time(camera, stretch, model_before)
    return before, unknown_time(camera, (since, now))


def recorded_until(camera: Camera, event: str, now: datetime) -> datetime:
    """Until when the records of ``camera`` are known to be complete.

    ``event``: the key of the newest one that was heard of, however far behind recording is; empty:
    none was.
    """
    events = Record.objects.filter(camera=camera, source=Record.Source.EVENT)
    if not event or events.filter(key=event).exists():
        return now
    newest = events.order_by("-at").values_list("at", flat=True).first()
    return min(newest or camera.first_seen, now)


def unknown_time(camera: Camera, stretch: Stretch, model: str = "") -> UnknownTime:
    """How long ``camera`` was ``unknown`` in ``stretch``; with ``model``, of its spells alone."""
    start, end = stretch
    events = Record.objects.filter(camera=camera, source=Record.Source.EVENT).order_by("at", "pk")
    columns = "at", "label__name", "model"
    first = events.filter(at__lte=start).values_list(*columns).last()
    rows = [
        *([first] if first else ()),
        *events.filter(at__gt=start, at__lt=end).values_list(*columns)[: _MOST_SPELLS + 1],
    ]
    found = UnknownTime()
    # Where there are more, the first that is not counted ends the last that is.
    ends = [at for at, _label, _model in rows[1:]] + [end]
    for (at, label, by), until in zip(rows[:_MOST_SPELLS], ends, strict=False):
        if model and by != model:
            continue
        seconds = (until - max(at, start)).total_seconds()
        found += UnknownTime(seconds, seconds if label == UNKNOWN else 0.0, 1)
    return found


def disagreement(
    worker: PictureWorker, cameras: Iterable[Camera], models: tuple[InstalledModel, InstalledModel]
) -> tuple[int, int]:
    """In how many of the last pictures the best labels differ, and of how many that is.

    Pictures for which one of the models has a label that the other one does not know count
    neither way. Raises the worker's errors.
    """
    pictures = list(_last_pictures(worker, cameras))
    answers: list[list[str]] = []
    known: list[set[str]] = []
    for model in models:
        # One model after the other: the child process keeps few of them.
        scored = [worker.score(jpeg, model.path) for jpeg in pictures]
        answers.append([found[0].label if found else UNKNOWN for found in scored])
        facts = model.facts or worker.describe_model(model.path)
        known.append(set(facts.labels))
    both = known[0] & known[1]
    pairs = [pair for pair in zip(*answers, strict=True) if both.issuperset(pair)]
    return sum(one != other for one, other in pairs), len(pairs)


def _last_pictures(worker: PictureWorker, cameras: Iterable[Camera]) -> Iterator[bytes]:
    """What the cameras looked at, the newest first; what cannot be read is left out."""
    seen = Record.objects.filter(
        camera__in=list(cameras), source__in=Record.CAMERA_SOURCES, picture__isnull=False
    )
    rows = seen.order_by("-at").values_list("picture__sha256", "detail")[:MOST_PICTURES]
    for sha256, detail in rows:
        box = detail.get("box")
        try:
            jpeg = picture_storage.read(picture_storage.picture_name(sha256))
            yield worker.remake(jpeg, _PICTURE_PX, CropBox(*box)).jpeg if box else jpeg
        except (OSError, EdgeClassifierError):
            continue
