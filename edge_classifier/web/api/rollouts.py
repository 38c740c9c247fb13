"""Roll-outs: begun, followed and ended by programs."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Self

from django.http import HttpRequest
from django.utils import timezone, translation
from ninja import Field, Router, Schema
from ninja.decorators import decorate_view
from ninja.errors import HttpError
from ninja.responses import Status

from edge_classifier.errors import MissingFileError, UsageError
from edge_classifier.web import models
from edge_classifier.web.accounts.roles import SWITCHES_MODELS
from edge_classifier.web.api.openapi import refuse_below
from edge_classifier.web.api.problems import errors
from edge_classifier.web.installed_models.store import InstalledModel
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.rollouts.begin import MOST_HOURS, Plan, begin, chosen_devices, steps
from edge_classifier.web.rollouts.display import displayed_devices
from edge_classifier.web.rollouts.driver import RolloutDriver
from edge_classifier.web.rollouts.observed import Observed
from edge_classifier.web.rollouts.selection import DeviceSelection
from edge_classifier.web.rollouts.verdict import Limits
from edge_classifier.web.rollouts.wording import entry_text

router = Router(tags=["Roll-outs"])
_LISTED = 50
_PLAN, _LIMITS = Plan(), Limits()


class LimitsSchema(Schema):
    """At which a roll-out halts, and goes back."""

    unknown: float = Field(
        _LIMITS.unknown,
        ge=0,
        le=1,
        description="By how much the share of the time in `unknown` may rise at a camera",
    )
    slower: float = Field(
        _LIMITS.slower, ge=1, le=100, description="How many times as long a frame may take"
    )
    restarts: int = Field(_LIMITS.restarts, ge=0, le=100, description="While it is watched")
    disagreement: float = Field(
        _LIMITS.disagreement,
        ge=0,
        le=1,
        description="Share of its last pictures in which it names another label than the model"
        " before",
    )
    lost: int = Field(
        _LIMITS.lost, ge=0, le=500, description="Devices that may refuse, fail or be away"
    )
    observations: int = Field(
        _LIMITS.observations,
        ge=2,
        le=10_000,
        description="Changes of label, before and after, that a camera is judged by at least",
    )
    needs_evidence: bool = Field(
        _LIMITS.needs_evidence, description="Whether too little to judge halts it"
    )


class RolloutRequest(Schema):
    """What is to be rolled out, and where to. What is chosen by must all be met."""

    model: str = Field(description="Name of a model that is here", examples=["garden-3-5a1f0c7e"])
    to: list[str] = Field(
        description="Names of devices, or of their cameras; `*` and `?` stand for anything. The"
        " first one is the first device",
        min_length=1,
        max_length=500,
        examples=[["barn-1", "barn-*"]],
    )
    camera: str = Field(
        "",
        max_length=64,
        description="Of each device, the camera whose own model it is to be; empty: the common one",
    )
    running: str = Field("", max_length=250, description="Only devices that run this model")
    label: str = Field(
        "", max_length=200, description="Only devices that have shown it, or whose model knows it"
    )
    first: int = Field(_PLAN.first, ge=1, le=100, description="Devices of the first step")
    batch: int = Field(_PLAN.batch, ge=1, le=500, description="Devices of each further step")
    watch_minutes: float = Field(
        _PLAN.watch, ge=0, le=10_000, description="For which a device is watched"
    )
    patience_minutes: float = Field(
        _PLAN.patience, ge=0, le=10_000, description="Waited for events beyond that"
    )
    away_minutes: float = Field(
        _PLAN.away, gt=0, le=10_000, description="After which an absent device holds up nobody"
    )
    hours: float = Field(_PLAN.hours, gt=0, le=MOST_HOURS, description="In all")
    limits: LimitsSchema = LimitsSchema()
    dry_run: bool = Field(False, description="Only say what would be done")


class RolloutDeviceSchema(Schema):
    """One device of a roll-out."""

    device: str
    step: int = Field(description="0: the first")
    state: str = Field(
        description="`waiting`, `asked`, `watched`, `kept`, `failed`, `missed`, `going back`,"
        " `back` or `stuck`"
    )
    away: bool = Field(description="Whether it is away")
    before: str = Field(description="The model that it ran before; empty: not known, or not asked")
    note: str = Field(description="How far it is, or why it failed")
    findings: list[str] = Field(description="What it was judged by")


class EntrySchema(Schema):
    """One line of a roll-out's record."""

    at: datetime
    device: str = Field(description="Empty: all of it")
    text: str


class RolloutSchema(Schema):
    """One roll-out."""

    id: int | None = Field(description="null: only a dry run")
    model: str
    sha256: str
    camera: str = Field(description="Whose own model it is to be; empty: the common one")
    state: str = Field(description="`running`, `going back`, `done`, `halted` or `stopped`")
    begun_by: str
    begun_at: datetime
    until: datetime
    ended_at: datetime | None
    devices: list[RolloutDeviceSchema]
    record: list[EntrySchema] = Field(description="The oldest line first")

    @classmethod
    def of(cls, rollout: models.Rollout, live: LiveClient | None) -> Self:
        """All of it."""
        # What programs read is in one language.
        with translation.override("en"):
            devices = [
                RolloutDeviceSchema(
                    device=one.row.device,
                    step=one.row.step,
                    state=one.row.state,
                    away=one.place == "away",
                    before=one.row.before,
                    note=one.note,
                    findings=[text for text, _verdict in one.findings],
                )
                for one in displayed_devices(rollout, live)
            ]
            record = [
                EntrySchema(at=one.at, device=one.device, text=entry_text(one))
                for one in rollout.entries.all()
            ]
        return cls(
            id=rollout.pk,
            model=rollout.model,
            sha256=rollout.sha256,
            camera=rollout.camera,
            state=rollout.state,
            begun_by=rollout.starter_name,
            begun_at=rollout.started_at,
            until=rollout.until,
            ended_at=rollout.ended_at,
            devices=devices,
            record=record,
        )


class RolloutSummary(Schema):
    """One roll-out of the list."""

    id: int
    model: str
    sha256: str
    camera: str
    state: str
    begun_by: str
    begun_at: datetime
    ended_at: datetime | None


class RolloutsSchema(Schema):
    """The newest roll-outs."""

    rollouts: list[RolloutSummary]


class EndRequest(Schema):
    """How a roll-out is to end."""

    go_back: bool = Field(True, description="Else the devices stay as they are")


@router.get("/rollouts", response={200: RolloutsSchema, **errors()}, summary="Roll-outs")
def rollouts(request: HttpRequest) -> RolloutsSchema:  # noqa: ARG001 (ninja hands it over)
    """The newest 50, the newest first."""
    found = models.Rollout.objects.all()[:_LISTED]
    return RolloutsSchema(
        rollouts=[
            RolloutSummary(
                id=one.pk,
                model=one.model,
                sha256=one.sha256,
                camera=one.camera,
                state=one.state,
                begun_by=one.starter_name,
                begun_at=one.started_at,
                ended_at=one.ended_at,
            )
            for one in found
        ]
    )


@router.post(
    "/rollouts",
    response={200: RolloutSchema, 201: RolloutSchema, **errors(400, 403, 404, 409, 422, 503)},
    summary="Begin a roll-out",
)
@decorate_view(refuse_below(SWITCHES_MODELS))
def begin_rollout(request: HttpRequest, wanted: RolloutRequest) -> Status:
    """For administrators. 201 when it was begun; 200 after a dry run; 409 says why not."""
    driver, live = _driver(request), request.services.live
    with translation.override("en"):
        try:
            model = request.services.models.find(wanted.model)
        except MissingFileError as error:
            raise HttpError(
                HTTPStatus.NOT_FOUND, f"There is no such model: {wanted.model}"
            ) from error
        plan = Plan(
            camera=wanted.camera,
            first=wanted.first,
            batch=wanted.batch,
            watch=wanted.watch_minutes,
            patience=wanted.patience_minutes,
            away=wanted.away_minutes,
            hours=wanted.hours,
            limits=Limits.of_json(wanted.limits.dict()),
        )
        try:
            devices = chosen_devices(live, model, _names(request, wanted), wanted.camera)
            if wanted.dry_run:
                return Status(HTTPStatus.OK, _dry(request, model, devices, plan))
            made = begin(model, devices, plan, request.user, timezone.now())
        except UsageError as error:
            raise HttpError(HTTPStatus.CONFLICT, error.problem) from error
    driver.wake()
    return Status(HTTPStatus.CREATED, RolloutSchema.of(made, live))


@router.get(
    "/rollouts/{int:number}", response={200: RolloutSchema, **errors(404)}, summary="A roll-out"
)
def rollout(request: HttpRequest, number: int) -> RolloutSchema:
    """How far it is, device by device, and its record."""
    return RolloutSchema.of(_found(number), request.services.live)


@router.post(
    "/rollouts/{int:number}/end",
    response={200: RolloutSchema, **errors(400, 403, 404, 409, 422, 503)},
    summary="End a roll-out",
)
@decorate_view(refuse_below(SWITCHES_MODELS))
def end_rollout(request: HttpRequest, number: int, wanted: EndRequest) -> RolloutSchema:
    """Send all devices back to the model before, or leave them as they are. For administrators."""
    found, driver = _found(number), _driver(request)
    act = driver.halt if wanted.go_back else driver.leave
    if not act(found, request.user.get_username()):
        raise HttpError(HTTPStatus.CONFLICT, "It is over already, or goes back.")
    return RolloutSchema.of(found, request.services.live)


def _driver(request: HttpRequest) -> RolloutDriver:
    driver: RolloutDriver | None = request.services.rollouts
    if driver is None:
        problem = "This page does not listen to daemons: mqtt.enabled is false."
        raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, problem)
    return driver


def _found(number: int) -> models.Rollout:
    found = models.Rollout.objects.filter(pk=number).first()
    if found is None:
        raise HttpError(HTTPStatus.NOT_FOUND, "There is no such roll-out.")
    return found


def _names(request: HttpRequest, wanted: RolloutRequest) -> list[str]:
    """The devices that are meant, in the order of what they were named by. Raises UsageError."""
    found: list[str] = []
    for name in wanted.to:
        meant = DeviceSelection(
            names=(name,), model=wanted.running, label=wanted.label, camera=wanted.camera
        )
        devices = meant.devices(request.services.live, request.services.models)
        if not devices:
            limits = (
                (" with a camera ", wanted.camera),
                (" that runs ", wanted.running),
                (" that knows or has shown ", wanted.label),
            )
            having = ",".join(f"{words}{value}" for words, value in limits if value)
            raise UsageError("to", f"No device{having} is meant by {name}.")
        found += [device["name"] for device in devices]
    return found


def _dry(
    request: HttpRequest, model: InstalledModel, devices: list[str], plan: Plan
) -> RolloutSchema:
    rows = [
        RolloutDeviceSchema(
            device=name,
            step=step,
            state="waiting",
            away=not seen.is_online,
            before=seen.model,
            note="",
            findings=[],
        )
        for name, step in zip(devices, steps(len(devices), plan), strict=True)
        for seen in [Observed.of(request.services.live.device(name), plan.camera)]
    ]
    now = timezone.now()
    return RolloutSchema(
        id=None,
        model=model.name,
        sha256=model.sha256,
        camera=plan.camera,
        state="running",
        begun_by=request.user.get_username(),
        begun_at=now,
        until=now + timedelta(hours=plan.hours),
        ended_at=None,
        devices=rows,
        record=[],
    )
