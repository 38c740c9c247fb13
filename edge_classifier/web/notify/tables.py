"""The tables: messages that are to be sent or were, and how far records have been looked at."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Notification(models.Model):
    """One message of one rule, to all addresses of that rule."""

    class Kind(models.TextChoices):
        """What it is about."""

        SIGHTINGS = "sightings", _("sightings")
        DIGEST = "digest", _("digest")
        TEST = "test", _("test")

    class State(models.TextChoices):
        """How far it is."""

        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        FAILED = "failed", _("not sent")

    # The name of its rule, which may be gone from the settings.
    rule = models.CharField(_("rule"), max_length=60)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    # Of what there is to be one only, such as the digest of a day; else null.
    once = models.CharField(max_length=100, unique=True, null=True, editable=False)
    created_at = models.DateTimeField(_("made"))
    # Not to be sent before, nor long after.
    due_at = models.DateTimeField(_("due"))
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.WAITING)
    # Somebody has it until then, or it is not to be tried before.
    claimed_until = models.DateTimeField(null=True, editable=False)
    # A digest of each address to how far it is: ``addresses.AddressState``.
    addresses = models.JSONField(default=dict, editable=False)
    # Sightings beyond those that it names.
    more = models.PositiveIntegerField(default=0, editable=False)
    # Why it was not sent: a word of ``sending.PROBLEMS``.
    problem = models.CharField(_("problem"), max_length=20, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["state", "due_at"], name="notification_due"),
            models.Index(fields=["rule", "-id"], name="notification_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.created_at:%Y-%m-%d %H:%M:%S}"


class NotifiedRecord(models.Model):
    """A record that a message tells of. Each is told once to each file of addresses."""

    notification = models.ForeignKey(Notification, models.CASCADE, related_name="records")
    # A digest of the name of the file.
    target = models.CharField(max_length=32, editable=False)
    # Of the record, which may be deleted.
    key = models.UUIDField(editable=False)
    # Which condition of the rule it fitted; empty: it has none.
    reason = models.CharField(max_length=12, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["target", "key"], name="told_once")
        ]


class NotificationCursor(models.Model):
    """Up to which record all rules were tried; one row."""

    record_id = models.BigIntegerField()
