"""Labels, cameras, models, and the status of the page."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from edge_classifier import __version__
from edge_classifier.web import models
from edge_classifier.web.accounts.roles import access_level_of
from edge_classifier.web.api.problems import errors

router = Router(tags=["Facts"])
_MOST_LABELS = _MOST_CAMERAS = 1000


class LabelSchema(Schema):
    """A word for what is seen."""

    name: str = Field(examples=["espresso"])
    chinese: str = Field(description="Empty if there is none", examples=["浓缩咖啡"])
    first_seen: datetime | None = Field(description="null: nothing has shown it yet")


class LabelsSchema(Schema):
    """Labels in the order of their names."""

    labels: list[LabelSchema]


@router.get("/labels", response={200: LabelsSchema, **errors(422)}, summary="Labels")
def labels(
    request: HttpRequest,  # noqa: ARG001 (ninja finds it by its name)
    after: str = Query("", max_length=200, description="Only names that come after this one"),
    limit: int = Query(_MOST_LABELS, ge=1, le=_MOST_LABELS),
) -> LabelsSchema:
    """The labels that were seen, or that reviewers have chosen.

    Where there are more than `limit`, ask again with the last name in `after`.
    """
    found = models.Label.objects.filter(name__gt=after).order_by("name")[:limit]
    facts = found.values("name", "chinese", "first_seen")
    return LabelsSchema(labels=[LabelSchema(**one) for one in facts])


class Now(Schema):
    """What a camera's daemon told last."""

    online: bool | None = Field(description="null: it has not told yet")
    reason: str = Field(description="Why it is not online")
    label: str = Field(description="Empty: it has not told yet", examples=["espresso"])
    score: float | None
    at: datetime | None = Field(description="When the frame was captured that the score is of")
    since: datetime | None = Field(description="When the frame was captured that brought the label")
    model: str
    enabled: bool = Field(description="Whether the camera is classified")
    fps: float | None


class CameraSchema(Schema):
    """One camera of one device."""

    device: str = Field(examples=["pi"])
    name: str = Field(examples=["front"])
    first_seen: datetime | None = Field(description="null: no event of it was recorded yet")
    now: Now | None = Field(description="null: nothing was heard since the page was started")


class CamerasSchema(Schema):
    """Cameras in the order of their devices and names."""

    cameras: list[CameraSchema]


@router.get("/cameras", response={200: CamerasSchema, **errors(422)}, summary="Cameras")
def cameras(
    request: HttpRequest,
    after: str = Query("", max_length=200, description="Only those after this DEVICE/CAMERA"),
    limit: int = Query(_MOST_CAMERAS, ge=1, le=_MOST_CAMERAS),
) -> CamerasSchema:
    """Cameras whose events were recorded, or that were heard of since the page was started.

    In the order of their names. Where there are more than `limit`, ask again with the last one's
    device, a slash and its name in `after`.
    """
    device, _, name = after.partition("/")
    rows = models.Camera.objects.values_list("device", "name", "first_seen")
    seen = {(of, camera): first_seen for of, camera, first_seen in rows}
    live = request.services.live
    devices = live.as_json()["devices"] if live else []
    heard = [camera for device in devices for camera in device["cameras"]]
    now = {(one["device"], one["camera"]): Now(**one) for one in heard}
    found = [
        CameraSchema(device=key[0], name=key[1], first_seen=seen.get(key), now=now.get(key))
        for key in sorted(key for key in seen.keys() | now.keys() if key > (device, name))[:limit]
    ]
    return CamerasSchema(cameras=found)


class ModelSchema(Schema):
    """One model file that is here."""

    name: str = Field(examples=["efficientnet-lite0"])
    version: str = Field(
        description="As records name it: with the first digits of the file's SHA-256",
        examples=["efficientnet-lite0@21331c65"],
    )
    sha256: str
    size: int = Field(description="Bytes")
    uploaded_at: datetime | None = Field(description="null: it is not an upload")


class ModelsSchema(Schema):
    """The models for pictures that are sent; daemons have their own."""

    models: list[ModelSchema]
    chosen: str = Field(description="Name of the one in use; empty: the program's default")


@router.get("/models", response={200: ModelsSchema, **errors()}, summary="Models")
def installed_models(request: HttpRequest) -> ModelsSchema:
    """The models that are here, and the one that classifies what is sent."""
    found = [
        ModelSchema(
            name=one.name,
            version=one.version,
            sha256=one.sha256,
            size=one.size,
            uploaded_at=one.changed_at,
        )
        for one in request.services.models.installed()
    ]
    # The settings may have a path, which is nobody's business.
    return ModelsSchema(models=found, chosen=Path(request.services.models.chosen()).stem)


class Broker(Schema):
    """The connection over which daemons are heard."""

    connected: bool
    reason: str = Field(description="Why not")


class Recording(Schema):
    """How recording goes."""

    connected: bool = Field(description="Whether there is a connection to the broker")
    reason: str = Field(description="Why not")
    recorded: int = Field(description="Events that were written since the start")
    repeated: int = Field(description="Deliveries of events that were there already")
    ignored: int = Field(description="Messages that are neither events nor pictures")
    waiting: int = Field(description="Messages that wait to be written")
    trouble: str = Field(description="Why nothing can be written now; else empty")


class StatusSchema(Schema):
    """How the page goes, and for whom it takes the one who asks."""

    version: str = Field(examples=["0.1.0"])
    user: str = Field(description="Whose token or login this is")
    role: str = Field(examples=["viewer"])
    broker: Broker | None = Field(description="null: this page does not listen to daemons")
    recorder: Recording | None = Field(description="null: this page does not record")


@router.get("/status", response={200: StatusSchema, **errors()}, summary="Status")
def status(request: HttpRequest) -> StatusSchema:
    """How the page goes, and what one may do. `/healthz` says whether it works at all."""
    live, recorder = request.services.live, request.services.recorder
    return StatusSchema(
        version=__version__,
        user=request.user.get_username(),
        role=access_level_of(request.user).name.lower(),
        broker=Broker(**live.broker) if live else None,
        recorder=Recording(**asdict(recorder.status)) if recorder else None,
    )
