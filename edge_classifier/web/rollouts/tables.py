"""The tables of roll-outs; ``web.models`` imports them, where Django finds them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Rollout(models.Model):
    """One model for several devices, and the limits at which it goes back."""

    class State(models.TextChoices):
        """How far it is."""

        RUNNING = "running", _("running")
        GOING_BACK = "going back", _("going back")
        DONE = "done", _("done")
        # After it went back.
        HALTED = "halted", _("halted")
        # By somebody who left the devices as they were.
        STOPPED = "stopped", _("stopped")

    # Of those that are not over.
    OPEN: ClassVar = (State.RUNNING, State.GOING_BACK)

    model = models.CharField(_("model"), max_length=200)
    sha256 = models.CharField(max_length=64, editable=False)
    # Of each device, whose own model it is to be; empty: the common one of each device.
    camera = models.CharField(_("camera"), max_length=64, blank=True)
    # Whoever began it may leave; the record stays.
    starter = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    starter_name = models.CharField(_("begun by"), max_length=150)
    started_at = models.DateTimeField(_("begun"))
    # Devices that are away until then do not get the model from it.
    until = models.DateTimeField(_("until"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.RUNNING)
    # Devices of the first step, and of each one after it.
    first = models.PositiveIntegerField(default=1)
    batch = models.PositiveIntegerField(default=10)
    # Seconds: that a device is watched; that are waited beyond that for events; after which one
    # that is away does not hold up the others.
    watch_s = models.FloatField(default=1800.0)
    patience_s = models.FloatField(default=3600.0)
    away_s = models.FloatField(default=600.0)
    # ``limits.Limits``.
    limits = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("roll-out")
        verbose_name_plural = _("roll-outs")
        ordering: ClassVar = ["-pk"]

    @property
    def version(self) -> str:
        """As devices name the model: ``name@21331c65``."""
        return f"{self.model}@{self.sha256[:8]}"

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done."""
        return self.state in self.OPEN

    def __str__(self) -> str:
        return f"{self.version} {self.started_at:%Y-%m-%d %H:%M}"


class RolloutDevice(models.Model):
    """One device of a roll-out."""

    class State(models.TextChoices):
        """How far it is."""

        WAITING = "waiting", _("waiting")
        ASKED = "asked", _("asked")
        WATCHED = "watched", _("runs it, and is watched")
        KEPT = "kept", _("judged: it stays")
        FAILED = "failed", _("did not take it")
        # It was away, or not done, until the end.
        MISSED = "missed", _("did not get it in time")
        GOING_BACK = "going back", _("is sent back")
        BACK = "back", _("has gone back")
        STUCK = "stuck", _("could not be sent back")

    # Of those that have the new model, or may have.
    CHANGED: ClassVar = (State.ASKED, State.WATCHED, State.KEPT)
    # Of those for which something is to be done while a roll-out runs.
    UNSETTLED: ClassVar = (State.WAITING, State.ASKED, State.WATCHED)

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="devices")
    device = models.CharField(_("device"), max_length=64)
    # 0: the first.
    step = models.PositiveIntegerField()
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.WAITING)
    # Of a roll-out that is not over: no device is in two of them.
    is_open = models.BooleanField(default=True, editable=False)
    # The model that it said to run, ``name@21331c65``; empty: not known. And whether the camera
    # that is meant ran the common one of its device.
    before = models.CharField(max_length=250, blank=True)
    followed_common = models.BooleanField(default=False, editable=False)
    asked_at = models.DateTimeField(null=True)
    # Of asking for the new model, or for the one before.
    tries = models.PositiveIntegerField(default=0)
    # What it told of a change when it was asked, which is none of this one.
    former_change = models.JSONField(null=True)
    runs_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    away_since = models.DateTimeField(null=True)
    # Whether it is away for so long that nobody waits for it.
    is_lost = models.BooleanField(default=False)
    # Its last statistics: when they came, and the seconds since its start.
    told_at = models.DateTimeField(null=True)
    uptime_s = models.FloatField(null=True)
    restarts = models.PositiveIntegerField(default=0)
    # Milliseconds a frame in the network, median: with the model before, and with the new one.
    before_ms = models.FloatField(null=True)
    after_ms = models.FloatField(null=True)
    # Of the last pictures: those that the two models see differently, and how many were compared.
    differ = models.PositiveIntegerField(null=True)
    compared = models.PositiveIntegerField(default=0)
    # ``verdict.RolloutFinding`` each, of the last judgement.
    findings = models.JSONField(default=list)
    # Why it failed, in the device's words or in ours.
    message = models.TextField(blank=True)

    class Meta:
        verbose_name = _("device of a roll-out")
        verbose_name_plural = _("devices of roll-outs")
        ordering: ClassVar = ["step", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rollout", "device"], name="one_rollout_device"),
            models.UniqueConstraint(
                fields=["device"], condition=Q(is_open=True), name="one_open_rollout"
            ),
        ]

    def __str__(self) -> str:
        return self.device


class RolloutEntry(models.Model):
    """One line of a roll-out's record: what was done, by whom, when, and why."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="entries")
    at = models.DateTimeField(_("time"))
    # Empty: all of it.
    device = models.CharField(_("device"), max_length=64, blank=True)
    # A key of ``wording.ENTRIES``, and what stands in its gaps.
    kind = models.CharField(max_length=20)
    detail = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("line of a roll-out's record")
        verbose_name_plural = _("lines of roll-outs' records")
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.device} {self.kind}"
