"""Pictures of lessons: added, moved, removed, restored; and the class folders that they make.

They lie where all pictures of the page do, under the hash of their content: so backups, buckets
and what is kept of them know them already. ``folder`` makes class folders of them.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import PictureError, UsageError
from edge_classifier.web.config.settings import LessonSettings
from edge_classifier.web.lessons.classes import remove_unused, touch
from edge_classifier.web.lessons.tables import Lesson, LessonClass, LessonPicture
from edge_classifier.web.models import Picture, Record
from edge_classifier.web.records import picture_storage
from edge_classifier.web.worker.messages import CropBox, Remade
from edge_classifier.web.worker.picture_worker import PictureWorker

# Networks look at 224 to 320 pixels a side; this leaves room to cut a part out.
KEEP_PX = 640
# Two pictures are nearly the same unless so many of their 16 x 16 grey values differ by more than
# so much: a lamp's flicker and a sensor's noise stay below that, the digits of a clock that a
# camera writes into its pictures change one or two.
CHANGED_CELLS, CHANGED_BY = 3, 8
# Removed pictures of a lesson that can be put back; beyond that the oldest are deleted.
MOST_REMOVED = 500
_GB = 1_000_000_000


class AddOutcome(StrEnum):
    """What became of a picture."""

    ADDED = "added"
    # Of the same class there is one that looks nearly the same, or is the same.
    ALIKE = "alike"
    # The lesson has the very same picture in another class.
    THERE = "there"


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one picture that was to be added."""

    outcome: AddOutcome
    # The one that was added, or that is there already; None where one is alike.
    picture: LessonPicture | None = None


def new_pictures(added: Iterable[Added]) -> list[LessonPicture]:
    """Those that were added now."""
    return [one.picture for one in added if one.picture and one.outcome is AddOutcome.ADDED]


class Filling:
    """Adds pictures to one class, one after the other. For one thread, and not for long."""

    def __init__(self, of: LessonClass, worker: PictureWorker, limits: LessonSettings) -> None:
        self._of, self._worker, self._limits = of, worker, limits
        shown = of.pictures.filter(removed_at=None)
        self._signatures = [bytes(one) for one in shown.values_list("signature", flat=True)]
        self._bytes_left = limits.max_gb * _GB - stored_bytes()

    def add(self, picture: Path | bytes, source: str, box: CropBox | None = None) -> Added:
        """Decode ``picture`` in the child, make it anew, and keep it unless it is there already.

        ``box``: what of it is kept. Raises PictureError, UnavailableError; OutputError and
        StorageError; UsageError, in the reader's language, where there is no room for more, or
        the class has been deleted.
        """
        remade = self._worker.remake(picture, KEEP_PX, box)
        return self._keep(remade, remade.jpeg, source)

    def add_record(self, record: Record) -> Added:
        """The same with the picture of ``record``: what the model looked at of it.

        Raises PictureError where it has none.
        """
        if record.picture is None:
            raise PictureError(str(record.key), Sentence("has no picture"))
        try:
            jpeg = picture_storage.read(picture_storage.picture_name(record.picture.sha256))
        except FileNotFoundError as error:
            raise PictureError(str(record.key), Sentence("has lost its picture")) from error
        box = record.detail.get("box")
        remade = self._worker.remake(jpeg, KEEP_PX, CropBox(*box) if box else None)
        # Where nothing is cut off, the very picture: what is known of it need not be found again.
        kept = remade.jpeg if box else jpeg
        return self._keep(remade, kept, str(LessonPicture.Source.HISTORY))

    def _keep(self, remade: Remade, jpeg: bytes, source: str) -> Added:
        sha256 = hashlib.sha256(jpeg).hexdigest()
        lesson = self._of.lesson
        there = lesson.pictures.select_related("of").filter(picture__sha256=sha256).first()
        if there and there.removed_at is None:
            outcome = AddOutcome.ALIKE if there.of_id == self._of.pk else AddOutcome.THERE
            return Added(outcome, there)
        if any(looks_alike(remade.signature, one) for one in self._signatures):
            return Added(AddOutcome.ALIKE)
        try:
            with transaction.atomic():
                self._require_room(lesson, len(jpeg))
                if there:
                    added = there
                    added.of, added.removed_at = self._of, None
                    added.save(update_fields=["of", "removed_at"])
                else:
                    picture = picture_storage.put(jpeg, remade.width, remade.height)
                    thumbnail = picture_storage.thumbnail_name(picture.sha256)
                    picture_storage.put_file(thumbnail, remade.thumbnail)
                    added = LessonPicture.objects.create(
                        lesson=self._of.lesson,
                        of=self._of,
                        picture=picture,
                        source=source,
                        signature=remade.signature,
                    )
                touch(lesson)
        except IntegrityError:  # Somebody else has just added the same.
            return Added(AddOutcome.THERE, lesson.pictures.filter(picture__sha256=sha256).first())
        self._signatures.append(remade.signature)
        self._bytes_left -= len(jpeg)
        return Added(AddOutcome.ADDED, added)

    def _require_room(self, lesson: Lesson, size: int) -> None:
        if not LessonClass.objects.select_for_update().filter(pk=self._of.pk).exists():
            raise UsageError("class", _("This class is not there any more."))
        most = self._limits.max_pictures
        if lesson.pictures.filter(removed_at=None).count() >= most:
            problem = _("A lesson has at most %(most)d pictures. Remove some, or begin another.")
            raise UsageError("pictures", problem % {"most": most})
        if size > self._bytes_left:
            problem = _("All lessons together have %(most)g GB. Delete one that nobody needs.")
            raise UsageError("pictures", problem % {"most": self._limits.max_gb})


def looks_alike(one: bytes, other: bytes) -> bool:
    """Whether two pictures with these signatures are nearly the same."""
    changed = 0
    for mine, yours in zip(one, other, strict=True):
        if not -CHANGED_BY <= mine - yours <= CHANGED_BY:
            changed += 1
            if changed == CHANGED_CELLS:
                return False
    return True


def stored_bytes() -> int:
    """Of the pictures of all lessons, those that are removed and can be put back as well."""
    used = Picture.objects.filter(pk__in=LessonPicture.objects.values("picture"))
    return used.aggregate(all=Sum("size"))["all"] or 0


@transaction.atomic
def move(lesson: Lesson, ids: Collection[int], to: LessonClass) -> list[tuple[int, int]]:
    """Put pictures of ``lesson`` into its class ``to``: ids of those moved and of their classes.

    What is there no more, or in ``to`` already, is left out.
    """
    found = _shown(lesson, ids).exclude(of=to)
    before = list(found.values_list("pk", "of"))
    found.update(of=to)
    touch(lesson)
    return before


@transaction.atomic
def move_back(lesson: Lesson, before: Sequence[tuple[int, int]]) -> int:
    """Undo ``move``; how many pictures went back. A class that has been deleted gets none."""
    classes = set(lesson.classes.values_list("pk", flat=True))
    count = 0
    for of in classes.intersection(of for _pk, of in before):
        ids = [pk for pk, was in before if was == of]
        count += lesson.pictures.filter(pk__in=ids).update(of=of)
    touch(lesson)
    return count


def remove(lesson: Lesson, ids: Collection[int]) -> list[int]:
    """Remove pictures of ``lesson``; which ones. They can be restored. Raises StorageError."""
    with transaction.atomic():
        found = _shown(lesson, ids)
        gone = list(found.values_list("pk", flat=True))
        found.update(removed_at=timezone.now())
        touch(lesson)
    removed = lesson.pictures.exclude(removed_at=None).order_by("-removed_at", "-pk")
    delete(removed[MOST_REMOVED:])
    return gone


def restore(lesson: Lesson, ids: Collection[int], limits: LessonSettings) -> int:
    """Put removed pictures back where they were; how many. Raises UsageError: there is no room."""
    with transaction.atomic():
        found = lesson.pictures.filter(pk__in=list(ids)).exclude(removed_at=None)
        room = limits.max_pictures - lesson.pictures.filter(removed_at=None).count()
        if found.count() > room:
            problem = _("A lesson has at most %(most)d pictures. Remove some, or begin another.")
            raise UsageError("pictures", problem % {"most": limits.max_pictures})
        count: int = found.update(removed_at=None)
        touch(lesson)
    return count


def delete(pictures: QuerySet[LessonPicture]) -> int:
    """Delete pictures for good, as far as nothing else has them. Raises StorageError."""
    rows = dict(pictures.values_list("pk", "picture"))
    LessonPicture.objects.filter(pk__in=list(rows)).delete()
    remove_unused(set(rows.values()))
    return len(rows)


def _shown(lesson: Lesson, ids: Collection[int]) -> QuerySet[LessonPicture]:
    return lesson.pictures.filter(pk__in=list(ids), removed_at=None)
