"""The tables of lessons; ``web.models`` imports them, which is where Django finds them."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

# Characters; the same as of labels, which classes become.
LONGEST_NAME = 200


class Lesson(models.Model):
    """What a model is to be taught: classes with pictures, and the network below them."""

    # In addresses, and the name of its folder.
    key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=LONGEST_NAME)
    # The network that is taught, as ``edge-classify teach --base`` takes it. Empty: the default.
    base = models.CharField(_("base network"), max_length=200, blank=True)
    # Whether something may be none of the classes; not so of states, as a door is open or shut.
    has_unknown = models.BooleanField(_("knows what is none of the classes"), default=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("made by"),
    )
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    # When its classes or pictures changed last: a model that was taught before is behind.
    changed_at = models.DateTimeField(_("changed"), auto_now_add=True)

    class Meta:
        verbose_name = _("lesson")
        verbose_name_plural = _("lessons")
        ordering: ClassVar = ["-changed_at", "-id"]

    def __str__(self) -> str:
        return self.name


class LessonClass(models.Model):
    """One thing to be told from the others."""

    lesson = models.ForeignKey(Lesson, models.CASCADE, related_name="classes")
    # What becomes the label.
    name = models.CharField(_("name"), max_length=LONGEST_NAME)
    chinese = models.CharField(_("Chinese name"), max_length=LONGEST_NAME, blank=True)
    # What is there when none of the others is: the label ``unknown``.
    is_other = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _("class")
        verbose_name_plural = _("classes")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["lesson", "name"], name="one_class"),
            models.UniqueConstraint(
                fields=["lesson"], condition=Q(is_other=True), name="one_other_class"
            ),
        ]
        # In the order in which they were made, and what is none of them last.
        ordering: ClassVar = ["is_other", "id"]

    def __str__(self) -> str:
        return self.name


class LessonPicture(models.Model):
    """A picture of a class. A lesson has each content once."""

    class Source(models.TextChoices):
        """Where it came from."""

        CAMERA = "camera", _("camera")
        UPLOAD = "upload", _("upload")
        HISTORY = "history", _("history")
        STORE = "store", _("capture store")

    lesson = models.ForeignKey(Lesson, models.CASCADE, related_name="pictures", db_index=False)
    of = models.ForeignKey(
        LessonClass, models.CASCADE, related_name="pictures", verbose_name=_("class")
    )
    picture = models.ForeignKey(
        "web.Picture", models.PROTECT, related_name="+", verbose_name=_("picture")
    )
    source = models.CharField(_("source"), max_length=8, choices=Source)
    # 16 x 16 grey values, by which pictures are found that look nearly the same.
    signature = models.BinaryField(max_length=256, editable=False)
    added_at = models.DateTimeField(_("added"), auto_now_add=True)
    # Not null: it is not taught any more, and can be put back.
    removed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("picture of a lesson")
        verbose_name_plural = _("pictures of lessons")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["lesson", "picture"], name="one_lesson_picture")
        ]
        indexes: ClassVar = [models.Index(fields=["of", "removed_at", "-id"], name="class_picture")]

    def __str__(self) -> str:
        return f"{self.of_id}/{self.picture_id}"
