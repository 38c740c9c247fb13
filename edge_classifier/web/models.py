"""The tables: who may come in, which cameras there are, and every recognition with its picture."""

import uuid
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from edge_classifier.core.labels import UNKNOWN


class User(AbstractUser):
    """Somebody with a password, and what they may do."""

    class Role(models.TextChoices):
        """From little to much; each may all that the one before may."""

        VIEWER = "viewer", _("viewer")
        REVIEWER = "reviewer", _("reviewer")
        ADMINISTRATOR = "administrator", _("administrator")

    role = models.CharField(_("role"), max_length=16, choices=Role, default=Role.VIEWER)

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

    class Verdict(models.TextChoices):
        """What a reviewer said of it."""

        NONE = "", _("not reviewed")
        CONFIRMED = "confirmed", _("confirmed")
        CORRECTED = "corrected", _("corrected")
        REJECTED = "rejected", _("rejected")

    # An event's own id, so that a repeated delivery is known; else a random one. In addresses.
    key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    source = models.CharField(_("source"), max_length=8, choices=Source)
    camera = models.ForeignKey(
        Camera, models.PROTECT, null=True, blank=True, verbose_name=_("camera"), db_index=False
    )
    # Who uploaded it; null for events and visitors without an account.
    owner = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, verbose_name=_("uploaded by")
    )
    # When the frame was captured, or the picture uploaded. Where the device's clock cannot have
    # been right, when the event was received.
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
    score = models.FloatField(_("score"))
    # How far the best label is ahead of the second: the smaller, the more a reviewer helps.
    margin = models.FloatField(_("margin"))
    seq = models.PositiveBigIntegerField(null=True, editable=False)
    model = models.CharField(_("model"), max_length=200)
    delay_ms = models.FloatField(_("capture to publish, ms"), null=True, editable=False)
    # ``[[label, score], ...]``, best first; empty for events, which do not tell.
    top = models.JSONField(default=list, editable=False)
    # Of uploads: ``crop`` (left, top, width, height as fractions) and ``timings_ms``.
    detail = models.JSONField(default=dict, editable=False)
    picture = models.ForeignKey(
        Picture, models.SET_NULL, null=True, blank=True, verbose_name=_("picture")
    )
    verdict = models.CharField(
        _("review"), max_length=10, choices=Verdict, default=Verdict.NONE, blank=True
    )
    # What it really shows: set when confirmed or corrected.
    truth = models.ForeignKey(
        Label,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("true label"),
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
                fields=[
                    "day",
                    "label",
                    "truth",
                    "source",
                    "owner",
                    "camera",
                    "verdict",
                    "score",
                ],
                name="record_day",
            ),
            models.Index(fields=["margin"], condition=Q(verdict=""), name="record_uncertain"),
            models.Index(
                fields=["label", "margin"], condition=Q(verdict=""), name="record_label_uncertain"
            ),
            models.Index(fields=["reviewer", "reviewed_at"], name="record_reviewed"),
            models.Index(fields=["recorded_at"], name="record_received"),
            # Few of many: without these PostgreSQL reads the table to count them. An event that
            # nobody has reviewed is in neither.
            models.Index(
                fields=["verdict", "-at", "-id"], condition=~Q(verdict=""), name="record_verdict"
            ),
            models.Index(
                fields=["source", "-at", "-id"], condition=~Q(source="event"), name="record_upload"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label_id}@{self.at:%Y-%m-%d %H:%M:%S}"


class EventPicture(models.Model):
    """A snapshot whose event has not come yet: another connection, or another recorder, has it."""

    # The event's id.
    key = models.UUIDField(unique=True, editable=False)
    picture = models.ForeignKey(Picture, models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)


class Comparison(models.Model):
    """How well one model did on the reviewed pictures of one moment."""

    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    model = models.CharField(_("model"), max_length=200)
    pictures = models.PositiveIntegerField(_("pictures"))
    hits = models.PositiveIntegerField(_("right"))
    # What `edge-classify evaluate --json` said.
    result = models.JSONField(default=dict, editable=False)

    class Meta:
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return self.model


class Preference(models.Model):
    """What an administrator chose on the page, by name: such as the model for uploads."""

    name = models.CharField(max_length=50, unique=True)
    value = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return self.name
