"""The tables of what lessons came to; ``web.models`` imports them, where Django finds them."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from edge_classifier.web.lessons.tables import Lesson, LessonClass, LessonPicture


class TaughtModel(models.Model):
    """One model of a lesson. Its file lies in the lesson's ``taught`` folder, under its number."""

    class Origin(models.TextChoices):
        """How it was made."""

        TAUGHT = "taught", _("taught here")
        TRAINED = "trained", _("trained elsewhere")

    lesson = models.ForeignKey(Lesson, models.CASCADE, related_name="taught")
    # Within the lesson, from 1: "garden 3" for people.
    number = models.PositiveIntegerField(_("number"))
    origin = models.CharField(_("origin"), max_length=8, choices=Origin, default=Origin.TAUGHT)
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    # What ``Lesson.changed_at`` was when its pictures were read.
    taught_from = models.DateTimeField(editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    # Its name among the installed models; empty until it is used.
    model = models.CharField(_("model"), max_length=200, blank=True)
    # What ``results.kept`` leaves of what the command said.
    result = models.JSONField(default=dict, editable=False)

    class Meta:
        verbose_name = _("taught model")
        verbose_name_plural = _("taught models")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["lesson", "number"], name="one_taught_number")
        ]
        ordering: ClassVar = ["-number"]

    def __str__(self) -> str:
        return f"{self.lesson} {self.number}"


class RightAsItIs(models.Model):
    """A picture that looks wrongly filed, of which somebody has said that it is right."""

    picture = models.OneToOneField(LessonPicture, models.CASCADE, related_name="right_as_it_is")
    # Where it was then: moved, it may be asked about again.
    of = models.ForeignKey(LessonClass, models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return f"{self.of_id}/{self.picture_id}"


class ModelUse(models.Model):
    """A device that was asked to run a taught model, and what it ran before."""

    class Status(models.TextChoices):
        """What came of it."""

        ASKED = "asked", _("asked")
        RUNS = "runs", _("runs it")
        FAILED = "failed", _("did not take it")
        BACK = "back", _("went back")

    taught = models.ForeignKey(TaughtModel, models.CASCADE, related_name="uses")
    device = models.CharField(_("device"), max_length=64)
    # Empty: all of the device's cameras.
    camera = models.CharField(_("camera"), max_length=64, blank=True)
    asked_at = models.DateTimeField(_("time"))
    status = models.CharField(_("result"), max_length=8, choices=Status, default=Status.ASKED)
    # The device's own words, or the page's.
    message = models.TextField(blank=True)
    # The model that it said to run, ``name@21331c65``; empty: not known.
    before = models.CharField(max_length=250, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["taught", "device", "camera"], name="one_use")
        ]
        ordering: ClassVar = ["device", "camera"]

    @property
    def before_name(self) -> str:
        """Of the model that it ran before, for people."""
        return self.before.partition("@")[0]

    @property
    def lines(self) -> list[str]:
        """The message, of which each line is about something else."""
        return self.message.splitlines()

    def __str__(self) -> str:
        return f"{self.taught} on {self.device}/{self.camera}"
