"""The tables: who may come in, which cameras there are, and every recognition with its picture."""

import uuid
from datetime import datetime, timedelta
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.web.comparison.tables import Comparison
from edge_classifier.web.installed_models.tables import DeviceToken
from edge_classifier.web.lessons.tables import Lesson, LessonClass, LessonPicture
from edge_classifier.web.lessons.teaching.tables import ModelUse, RightAsItIs, TaughtModel
from edge_classifier.web.lookalikes.tables import PictureCode, ProposedPicture
from edge_classifier.web.notify.tables import Notification, NotificationCursor, NotifiedRecord
from edge_classifier.web.rollouts.tables import Rollout, RolloutDevice, RolloutEntry
from edge_classifier.web.tally.tables import DayTally, HourTally, LabelDayTally

# Tables of other rooms, which Django finds here.
__all__ = (
    "Comparison",
    "DayTally",
    "DeviceToken",
    "HourTally",
    "LabelDayTally",
    "Lesson",
    "LessonClass",
    "LessonPicture",
    "ModelUse",
    "Notification",
    "NotificationCursor",
    "NotifiedRecord",
    "PictureCode",
    "ProposedPicture",
    "RightAsItIs",
    "Rollout",
    "RolloutDevice",
    "RolloutEntry",
    "TaughtModel",
)

# After an event's record has been made.
PICTURES_COME_FOR = timedelta(days=1)


class User(AbstractUser):
    """Somebody with a password, and what they may do."""

    class Role(models.TextChoices):
        """From little to much; each may all that the one before may."""

        VIEWER = "viewer", _("viewer")
        REVIEWER = "reviewer", _("reviewer")
        ADMINISTRATOR = "administrator", _("administrator")

    role = models.CharField(_("role"), max_length=16, choices=Role, default=Role.VIEWER)
    # To within an hour.
    seen_at = models.DateTimeField(_("last seen"), null=True, editable=False)
    # Who it is to Home Assistant, whose ingress lets them in without a password.
    ingress_id = models.CharField(max_length=64, unique=True, null=True, editable=False)

    def save(self, *args: object, **kwargs: object) -> None:
        """Django's own pages ask for other names of the same thing."""
        self.is_staff = self.is_superuser = self.role == self.Role.ADMINISTRATOR
        super().save(*args, **kwargs)


class Token(models.Model):
    """Lets a program in, with the rights of its user. Only a digest of the secret is kept."""

    name = models.CharField(_("name"), max_length=100)
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens", verbose_name=_("user"))
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    class Meta:
        verbose_name = _("token")
        verbose_name_plural = _("tokens")

    def __str__(self) -> str:
        return self.name


class Camera(models.Model):
    """One camera of one device; made when its first event comes."""

    device = models.CharField(_("device"), max_length=64)
    name = models.CharField(_("camera"), max_length=64)
    first_seen = models.DateTimeField(_("first seen"), auto_now_add=True)

    class Meta:
        verbose_name = _("camera")
        verbose_name_plural = _("cameras")
        constraints: ClassVar = [models.UniqueConstraint("device", "name", name="one_camera")]
        ordering: ClassVar = ["device", "name"]

    def __str__(self) -> str:
        return f"{self.device}/{self.name}"


class Label(models.Model):
    """A word for what is seen: of a model, of a group of the daemon's, or a reviewer's own."""

    UNKNOWN = UNKNOWN

    name = models.CharField(_("label"), max_length=200, unique=True)
    chinese = models.CharField(_("Chinese name"), max_length=200, blank=True)
    # When the first frame with it was captured; null for a label that was only chosen.
    first_seen = models.DateTimeField(_("first seen"), null=True, db_index=True, editable=False)
    # The same of a glimpse, which is not a sight.
    first_glimpsed = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("label")
        verbose_name_plural = _("labels")
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Picture(models.Model):
    """A JPEG and its thumbnail, in storage under the hash of its content."""

    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    size = models.PositiveIntegerField(_("bytes"), editable=False)
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("picture")
        verbose_name_plural = _("pictures")

    def __str__(self) -> str:
        return self.sha256[:12]


class Record(models.Model):
    """One recognition: an event of a daemon, or an uploaded picture."""

    class Source(models.TextChoices):
        """Where it came from."""

        EVENT = "event", _("camera")
        UPLOAD = "upload", _("upload")
        API = "api", _("program")
        # A camera's, too: a label that was there for too short a time to be an event.
        GLIMPSE = "glimpse", _("camera, glimpsed")

    # What cameras send, as against what people do.
    CAMERA_SOURCES: ClassVar = (Source.EVENT, Source.GLIMPSE)

    class Verdict(models.TextChoices):
        """What a reviewer said of it."""

        NONE = "", _("not reviewed")
        CONFIRMED = "confirmed", _("confirmed")
        CORRECTED = "corrected", _("corrected")
        # Whatever the model saw there: its true label is ``Label.UNKNOWN``.
        NOTHING = "nothing", _("nothing there")
        # It is of no use, and counts nowhere.
        REJECTED = "rejected", _("rejected")

    # An event's own id, so that a repeated delivery is known; else a random one. In addresses.
    key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    source = models.CharField(_("source"), max_length=8, choices=Source)
    camera = models.ForeignKey(
        Camera, models.PROTECT, null=True, blank=True, verbose_name=_("camera"), db_index=False
    )
    # Who uploaded it; null for events and visitors without an account.
    owner = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, verbose_name=_("uploaded by"), db_index=False
    )
    # When the frame was captured that brought the label, or the picture uploaded. Where the
    # device's clock cannot have been right, when the event was received.
    at = models.DateTimeField(_("time"))
    # What the device's clock said, where that cannot be right; else null.
    device_at = models.DateTimeField(_("time by the device"), null=True, editable=False)
    # The day of ``at`` in the server's time zone, for counts.
    day = models.DateField(editable=False)
    # By the clock of whoever recorded it. Retention goes by it, and never by a device's clock.
    recorded_at = models.DateTimeField(_("recorded"), default=timezone.now, editable=False)
    label = models.ForeignKey(
        Label, models.PROTECT, related_name="+", verbose_name=_("label"), db_index=False
    )
    # Of events: what the camera showed before.
    before = models.CharField(_("label before"), max_length=200, blank=True)
    # Of events: that with which the label came, and when it has gone, the highest that it had.
    score = models.FloatField(_("score"))
    # The former, once ``score`` is the latter.
    entry_score = models.FloatField(null=True, editable=False)
    # Of events: how long the label stayed, in seconds from ``at``; null while it does, and where
    # the device does not tell. Of glimpses: how long it was there.
    duration_s = models.FloatField(_("duration, s"), null=True, editable=False)
    # Likewise, when it scored the highest.
    peak_after_s = models.FloatField(null=True, editable=False)
    # How far the best label is ahead of the second: the smaller, the more a reviewer helps.
    margin = models.FloatField(_("margin"))
    seq = models.PositiveBigIntegerField(null=True, editable=False)
    model = models.CharField(_("model"), max_length=200)
    delay_ms = models.FloatField(_("capture to publish, ms"), null=True, editable=False)
    # ``[[label, score], ...]``, best first; empty for events of older devices, which do not tell.
    top = models.JSONField(default=list, editable=False)
    # Of uploads: ``crop`` (left, top, width, height as fractions) and ``timings_ms``. Of events and
    # glimpses: ``path`` (names from the root of a tree of labels), ``path_names`` (the same in the
    # device's language, where that is another), ``box`` (as ``crop``: what was looked at in the
    # picture), ``frame_ms`` (when that was captured, by the device). Of glimpses also ``reason``,
    # ``needs_s`` and ``frames``.
    detail = models.JSONField(default=dict, editable=False)
    picture = models.ForeignKey(
        Picture, models.SET_NULL, null=True, blank=True, verbose_name=_("picture")
    )
    verdict = models.CharField(
        _("review"), max_length=10, choices=Verdict, default=Verdict.NONE, blank=True
    )
    # What it really shows: null while nobody has said it, and when rejected.
    truth = models.ForeignKey(
        Label,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("true label"),
        db_index=False,
    )
    reviewer = models.ForeignKey(
        User,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("reviewer"),
        db_index=False,
    )
    reviewed_at = models.DateTimeField(_("reviewed"), null=True, blank=True)
    # True: it looked like nothing that its camera had shown for weeks. Null: not so, or not known.
    new_here = models.BooleanField(_("new here"), null=True, editable=False)

    class Meta:
        verbose_name = _("record")
        verbose_name_plural = _("records")
        ordering: ClassVar = ["-at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["-at", "-id"], name="record_time"),
            models.Index(fields=["camera", "-at", "-id"], name="record_camera"),
            models.Index(fields=["label", "-at", "-id"], name="record_label"),
            # For counts per day and label, which must not read whole rows: what filters ask for
            # is in the index itself.
            models.Index(
                fields=["day", "label", "truth", "source", "owner", "camera", "verdict", "score"],
                name="record_day",
            ),
            models.Index(fields=["margin"], condition=Q(verdict=""), name="record_uncertain"),
            models.Index(
                fields=["label", "margin"], condition=Q(verdict=""), name="record_label_uncertain"
            ),
            models.Index(
                fields=["camera", "margin"], condition=Q(verdict=""), name="record_camera_uncertain"
            ),
            models.Index(fields=["recorded_at"], name="record_received"),
            models.Index(
                fields=["source", "margin"],
                condition=Q(verdict="") & ~Q(source="event"),
                name="record_upload_uncertain",
            ),
            # What stands behind the order of an index is asked for beside it: so a row is read
            # only where it fits.
            models.Index(
                fields=["-score", "-id", "camera", "label", "truth", "source", "verdict", "owner"],
                name="record_score",
            ),
            # Few of many: without these PostgreSQL reads the table to count them. An event that
            # nobody has reviewed is in none, and takes no time to write them.
            models.Index(fields=["owner"], condition=Q(owner__isnull=False), name="record_owner"),
            models.Index(
                fields=["reviewer", "reviewed_at"],
                condition=Q(reviewer__isnull=False),
                name="record_reviewed",
            ),
            models.Index(
                fields=["verdict", "-at", "-id", "camera", "source", "score"],
                condition=~Q(verdict=""),
                name="record_verdict",
            ),
            models.Index(
                fields=["source", "-at", "-id", "camera", "verdict", "owner"],
                condition=~Q(source="event"),
                name="record_upload",
            ),
            models.Index(fields=["-at", "-id"], condition=Q(new_here=True), name="record_new"),
            models.Index(
                fields=["truth", "-at", "-id", "verdict", "score", "source", "camera"],
                condition=Q(truth__isnull=False),
                name="record_truth",
            ),
            models.Index(
                fields=["truth", "picture"],
                condition=Q(truth__isnull=False, picture__isnull=False),
                name="record_dataset",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label_id}@{self.at:%Y-%m-%d %H:%M:%S}"

    def keeps_picture(self, now: datetime) -> bool:
        """Whether its picture is its last one.

        Those of an event get better while its label is there, and until a day after its record
        was made: an outage may bring all of them together. What a reviewer has judged stays.
        """
        has_others = self.source == self.Source.EVENT and "frame_ms" in self.detail
        if self.verdict or not has_others:
            return True
        return self.duration_s is not None and now - self.recorded_at > PICTURES_COME_FOR

    @property
    def counts_as(self) -> int | None:
        """Id of the label as which it counts; None: it was rejected, and counts nowhere."""
        if self.verdict == self.Verdict.REJECTED:
            return None
        found: int = self.truth_id or self.label_id
        return found

    @property
    def kind(self) -> str:
        """``seen``, or ``glimpsed``: for too short a time to be an event."""
        return "glimpsed" if self.source == self.Source.GLIMPSE else "seen"

    @property
    def peak_at(self) -> datetime | None:
        """When it scored the highest, if that is known."""
        after_s = self.peak_after_s
        return None if after_s is None else self.at + timedelta(seconds=after_s)

    @property
    def origin(self) -> str:
        """Who sent it: ``event`` of all that cameras see, else ``upload`` or ``api``."""
        return str(self.Source.EVENT) if self.source in self.CAMERA_SOURCES else self.source


class EventPicture(models.Model):
    """A snapshot whose event has not come yet: another connection, or another recorder, has it."""

    # The event's id.
    key = models.UUIDField(editable=False)
    # Device and camera whose topic it was on, as ``str(Camera)``: others have no say in its event.
    # Empty in rows of older versions.
    place = models.CharField(max_length=130, blank=True, editable=False)
    picture = models.ForeignKey(Picture, models.CASCADE)
    # As in ``Record.detail``, where the snapshot says so.
    frame_ms = models.BigIntegerField(null=True, editable=False)
    box = models.JSONField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("snapshot that waits for its event")
        verbose_name_plural = _("snapshots that wait for their events")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "place"], name="one_picture")
        ]


class DeletedEvent(models.Model):
    """An event whose record was deleted while its label was still there.

    What comes of it later, its end and better pictures, is not to bring it back.
    """

    # The event's id.
    key = models.UUIDField(unique=True, editable=False)
    deleted_at = models.DateTimeField(auto_now_add=True, db_index=True)


class Preference(models.Model):
    """What an administrator chose on the page, by name: such as the model for uploads."""

    name = models.CharField(max_length=50, unique=True)
    value = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = _("choice on the page")
        verbose_name_plural = _("choices on the page")

    def __str__(self) -> str:
        return self.name
