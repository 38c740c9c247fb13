"""The thread that looks at recorded pictures once more, one at a time, while nobody waits."""

import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, connections, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from edge_classifier.errors import (
    MissingFileError,
    ModelError,
    PictureError,
    StorageError,
    UnavailableError,
)
from edge_classifier.modelfile.catalogue import load_catalogue
from edge_classifier.web.config.settings import LookalikeSettings
from edge_classifier.web.database_away import is_away
from edge_classifier.web.guarded_thread import BackgroundWork
from edge_classifier.web.lookalikes import codes
from edge_classifier.web.lookalikes.codes import BASE, Seen
from edge_classifier.web.models import LessonPicture, Picture, PictureCode, Record
from edge_classifier.web.records import picture_storage
from edge_classifier.web.worker.messages import CropBox
from edge_classifier.web.worker.picture_worker import PictureWorker

_log = logging.getLogger(__name__)
# Bytes; less memory is for other things.
_LEAST_MEMORY = 900_000_000
# Pictures of one round, in which those that came since the last one go first; and how far back
# these may begin: what came before, in a long absence, is nothing that is new now.
_ROUND, _MOST_ARRIVED = 50, 500
# Newest pictures of a camera that one is compared with.
_COMPARED = 1000
_PERIOD_S = 10.0
# While somebody else's picture is worked on.
_BUSY_S = 1.0
# While the database does not answer.
_AWAY_S = 30.0
# After a picture, so many times as long as it took: at most a quarter of a core.
_REST = 3.0
# A snapshot is there before its event.
_EVENT_COMES_S = 5.0

Announce = Callable[[Record], None]


def is_wanted(settings: LookalikeSettings, memory: int | None = None) -> bool:
    """Whether this machine is to do it. ``memory``: its bytes; None: asked of the system."""
    if settings.enabled != "auto":
        return settings.enabled == "on"
    if memory is None:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return memory >= _LEAST_MEMORY


def base_key() -> str:
    """What codes of the present base are marked with."""
    return load_catalogue().require(BASE).sha256[:16]


def seen_at(record: Record, base: str, days: float) -> list[Seen]:
    """Other pictures of the place of ``record``, those of its last ``days``, the newest first.

    Its camera's; of an upload those of the same owner.
    """
    place = {"camera": record.camera_id} if record.camera_id else {"owner": record.owner_id}
    if not record.camera_id:
        place["source__in"] = (Record.Source.UPLOAD, Record.Source.API)
    since = timezone.now() - timedelta(days=days)
    found = Record.objects.filter(**place, at__gte=since, picture__code__base=base)
    found = found.exclude(picture=record.picture_id).order_by("-at", "-id")
    facts = ("picture", "picture__code__pile", "picture__code__code", "picture__code__nearest")
    return [
        Seen(picture, pile, codes.as_number(bytes(code)), nearest)
        for picture, pile, code, nearest in found.values_list(*facts)[:_COMPARED]
    ]


class PictureEncoder(BackgroundWork):
    """Makes a code of each recorded picture, and marks what is new at its camera."""

    def __init__(
        self,
        settings: LookalikeSettings,
        worker: PictureWorker,
        announce: Announce = lambda _: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``announce`` is called, in the thread, with what has been marked as new."""
        super().__init__("lookalikes")
        self._settings = settings
        self._worker = worker
        self._announce = announce
        self._clock = clock
        # The last picture of those that have come; and the first one of those before that have
        # been looked at, or None: not looked for yet.
        self._arrived: int | None = None
        self._earlier: int | None = None

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                count = self.run_once()
            except (ModelError, MissingFileError) as error:
                # As on a machine whose runtime cannot cut a network open: no later try does it.
                _log.warning("what pictures look like is not compared: %s", error)
                self._stopped.wait()
                return
            except DatabaseError as error:
                if not is_away(error):
                    raise
                _log.warning("pictures are not compared just now: %s", type(error).__name__)
                self._stopped.wait(_AWAY_S)
                continue
            finally:
                # PostgreSQL may have been restarted when it is asked again.
                connections.close_all()
            if not count:
                self._stopped.wait(_PERIOD_S)

    def run_once(self) -> int:
        """One round: how many pictures there were to look at. Raises Django's database errors."""
        base = base_key()
        self._begin(base)
        arrived = self._next_arrived()
        earlier = [] if arrived else self._next_earlier(base)
        try:
            for picture in arrived:
                self._encode(picture, base, may_be_new=True)
                self._arrived = picture.pk
            for picture in earlier:
                self._encode(picture, base, may_be_new=False)
                self._earlier = picture.pk
        except StorageError as error:
            _log.warning("pictures cannot be read to be compared: %s", error.detail)
            return 0
        if arrived or earlier:
            # Forget the oldest, where there are more than most.
            kept = PictureCode.objects.order_by("-picture").values_list("picture", flat=True)
            last = kept[self._settings.most : self._settings.most + 1].first()
            if last is not None:
                PictureCode.objects.filter(picture__lte=last).delete()
        return len(arrived) + len(earlier)

    def _begin(self, base: str) -> None:
        """Go on where an earlier process ended; what came long before is not an arrival."""
        if self._arrived is None:
            known = PictureCode.objects.filter(base=base).order_by("-picture").first()
            newest = Picture.objects.order_by("-pk").first()
            self._arrived = known.pk if known else newest.pk if newest else 0
            self._earlier = self._arrived + 1
        after = _pictures().filter(pk__gt=self._arrived).order_by("-pk")
        if too_many := after.values_list("pk", flat=True)[_MOST_ARRIVED : _MOST_ARRIVED + 1]:
            self._arrived, self._earlier = too_many[0], too_many[0] + 1

    def _next_arrived(self) -> list[Picture]:
        """The oldest of those that have come since the last round."""
        before = timezone.now() - timedelta(seconds=_EVENT_COMES_S)
        found = list(_pictures().filter(pk__gt=self._arrived).order_by("pk")[:_ROUND])
        late = next((n for n, one in enumerate(found) if one.created_at > before), len(found))
        return found[:late]

    def _next_earlier(self, base: str) -> list[Picture]:
        """The newest of those before, as far as there is room for their codes."""
        coded = PictureCode.objects.filter(picture=OuterRef("pk"), base=base)
        newest = Picture.objects.order_by("-pk").values_list("pk", flat=True)
        oldest = newest[self._settings.most : self._settings.most + 1].first() or 0
        found = _pictures().filter(~Exists(coded), pk__lt=self._earlier, pk__gt=oldest)
        step = list(found.order_by("-pk")[:_ROUND])
        if not step:
            self._earlier = 0
        return step

    def _encode(self, picture: Picture, base: str, *, may_be_new: bool) -> None:
        """Raises StorageError when storage is away."""
        records = Record.objects.select_related("camera", "label").filter(picture=picture)
        record = records.order_by("pk").first()
        box = record.detail.get("box") if record else None
        try:
            jpeg = picture_storage.read(picture_storage.picture_name(picture.sha256))
        except FileNotFoundError:
            return
        try:
            code = self._code(jpeg, CropBox(*box) if box else None)
        except (PictureError, UnavailableError) as error:
            # Broken, or it breaks the child: it is not tried again.
            _log.warning("a picture is left out of comparisons: %s", error)
            return
        if code is None:
            return
        number = codes.as_number(code)
        seen = seen_at(record, base, self._settings.new_days) if record else []
        nearest = codes.nearest_distance(number, seen)
        row = {
            "base": base,
            "code": code,
            "pile": codes.pile_of(number, seen) or picture.pk,
            "nearest": nearest,
        }
        with transaction.atomic():
            # Nobody deletes it while we hold the row.
            held = Picture.objects.select_for_update(no_key=True).filter(pk=picture.pk)
            if not held.first():
                return
            PictureCode.objects.update_or_create(picture=picture, defaults=row)
        if may_be_new and record and record.camera and codes.is_new(nearest, seen):
            unmarked = Record.objects.filter(pk=record.pk, new_here=None)
            if unmarked.update(new_here=True):
                self._announce(record)

    def _code(self, jpeg: bytes, box: CropBox | None) -> bytes | None:
        """Waits until nobody else wants the child, and rests afterwards; None: this is to stop."""
        while not self._stopped.is_set():
            begun = self._clock()
            code = self._worker.encode_if_idle(jpeg, BASE, box)
            if code is not None:
                self._stopped.wait(_REST * (self._clock() - begun))
                return code
            self._stopped.wait(_BUSY_S)
        return None


def _pictures() -> QuerySet[Picture]:
    """Those of records and of lessons."""
    of_lessons = LessonPicture.objects.filter(picture=OuterRef("pk"))
    of_records = Record.objects.filter(picture=OuterRef("pk"))
    return Picture.objects.filter(Exists(of_records) | Exists(of_lessons))
