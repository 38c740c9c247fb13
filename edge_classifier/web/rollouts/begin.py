"""A roll-out is begun, or refused."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from edge_classifier.errors import UsageError
from edge_classifier.web.installed_models.store import InstalledModel
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.live.live_state import MAX_DEVICES
from edge_classifier.web.models import Rollout, RolloutDevice, User
from edge_classifier.web.rollouts.observed import Observed
from edge_classifier.web.rollouts.progress import note
from edge_classifier.web.rollouts.verdict import Limits

# Of one request or form.
MOST_HOURS = 24 * 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a roll-out is to go; times are in minutes, as people give them."""

    # Of each device, whose own model it is to be; empty: the common one of each device.
    camera: str = ""
    first: int = 1
    batch: int = 10
    watch: float = 30.0
    patience: float = 60.0
    away: float = 10.0
    hours: float = 24.0
    limits: Limits = field(default_factory=Limits)


def chosen_devices(
    live: LiveClient, model: InstalledModel, names: Sequence[str], camera: str = ""
) -> list[str]:
    """Those of ``names`` for which there is something to do. Raises UsageError.

    ``camera``: of each of them, that is meant; empty: all that have no model of their own.
    """
    names = list(dict.fromkeys(names))[:MAX_DEVICES]
    known = set(live.devices())
    if unknown := [name for name in names if name not in known]:
        problem = _("Nothing has been heard of %s.") % ", ".join(unknown[:5])
        raise UsageError("devices", problem)
    told = {name: live.device(name) for name in names}
    if camera and (
        without := [name for name, one in told.items() if one and camera not in one["cameras"]]
    ):
        problem = _("No camera is called %(camera)s on %(devices)s.")
        gaps = {"camera": camera, "devices": ", ".join(without[:5])}
        raise UsageError("camera", problem % gaps)
    rest = [name for name in names if not Observed.of(told[name], camera).runs(model.sha256)]
    if not rest:
        problem = _("All of these devices run it already.") if names else _("Choose a device.")
        raise UsageError("devices", problem)
    taken = RolloutDevice.objects.filter(is_open=True, device__in=rest).select_related("rollout")
    if one := taken.first():
        raise UsageError("devices", _taken(one))
    return rest


def _taken(row: RolloutDevice) -> str:
    text = _(
        "%(device)s is in another roll-out that is not over: %(model)s, begun by %(who)s. Halt that"
        " one, or wait for its end."
    )
    gaps = {"device": row.device, "model": row.rollout.version, "who": row.rollout.starter_name}
    return text % gaps


def begin(
    model: InstalledModel, devices: Sequence[str], plan: Plan, starter: User, now: datetime
) -> Rollout:
    """Write it down; the driver does the rest. ``devices``: as ``chosen_devices`` has them.

    The first of them are the first step. Raises UsageError where one of them is in another one.
    """
    try:
        with transaction.atomic():
            made = Rollout.objects.create(
                model=model.name,
                sha256=model.sha256,
                camera=plan.camera,
                starter=starter,
                starter_name=starter.get_username(),
                started_at=now,
                until=now + timedelta(hours=plan.hours),
                first=plan.first,
                batch=plan.batch,
                watch_s=60 * plan.watch,
                patience_s=60 * plan.patience,
                away_s=60 * plan.away,
                limits=plan.limits.as_json(),
            )
            RolloutDevice.objects.bulk_create(
                RolloutDevice(rollout=made, device=name, step=step)
                for name, step in zip(devices, steps(len(devices), plan), strict=True)
            )
            note(made, now, "begun", who=made.starter_name, devices=len(devices))
    except IntegrityError:
        # Somebody was faster by a moment.
        row = RolloutDevice.objects.filter(is_open=True, device__in=devices).first()
        if row is None:
            raise
        raise UsageError("devices", _taken(row)) from None
    return made


def steps(count: int, plan: Plan) -> list[int]:
    """The step of each of ``count`` devices: the first ones, then batches."""
    return [0 if at < plan.first else 1 + (at - plan.first) // plan.batch for at in range(count)]
