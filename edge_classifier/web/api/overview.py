"""Labels, cameras, models, and the status of the page."""

import logging
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Self

from django.http import HttpRequest
from django.utils import translation
from ninja import Query, Router
from ninja.decorators import decorate_view
from ninja.errors import HttpError
from ninja.responses import Status
from ninja.schema import BaseModel, Field

from edge_classifier import __version__
from edge_classifier.errors import ContractError, ModelError
from edge_classifier.web import models
from edge_classifier.web.accounts.roles import AccessLevel, access_level_of
from edge_classifier.web.api.body_files import body_file
from edge_classifier.web.api.openapi import refuse_below
from edge_classifier.web.api.problems import errors
from edge_classifier.web.installed_models.store import DuplicateModelError, InstalledModel

router = Router(tags=["Facts"])
_log = logging.getLogger(__name__)
# Of a model that is sent.
_KIND = "application/octet-stream"
_FILE = {"type": "string", "format": "binary"}
_MOST_LABELS = _MOST_CAMERAS = 1000


class LabelSchema(BaseModel):
    """A word for what is seen."""

    name: str = Field(examples=["espresso"])
    chinese: str = Field(description="Empty if there is none", examples=["浓缩咖啡"])
    first_seen: datetime | None = Field(description="null: nothing has shown it yet")


class LabelsSchema(BaseModel):
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


class Now(BaseModel):
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


class CameraSchema(BaseModel):
    """One camera of one device."""

    device: str = Field(examples=["pi"])
    name: str = Field(examples=["front"])
    first_seen: datetime | None = Field(description="null: no event of it was recorded yet")
    now: Now | None = Field(description="null: nothing was heard since the page was started")


class CamerasSchema(BaseModel):
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


class ModelSchema(BaseModel):
    """One model file that is here."""

    name: str = Field(examples=["mobilenet-v2-int8"])
    version: str = Field(
        description="As records name it: with the first digits of the file's SHA-256",
        examples=["mobilenet-v2-int8@ac8b0d0a"],
    )
    sha256: str
    size: int = Field(description="Bytes")
    uploaded_at: datetime | None = Field(description="null: it is not an upload")

    @classmethod
    def of(cls, model: InstalledModel) -> Self:
        """As programs see it."""
        return cls(
            name=model.name,
            version=model.version,
            sha256=model.sha256,
            size=model.size,
            uploaded_at=model.changed_at,
        )


class ModelsSchema(BaseModel):
    """The models for pictures that are sent; daemons have their own."""

    models: list[ModelSchema]
    chosen: str = Field(description="Name of the one in use; empty: the program's default")


@router.get("/models", response={200: ModelsSchema, **errors()}, summary="Models")
def installed_models(request: HttpRequest) -> ModelsSchema:
    """The models that are here, and the one that classifies what is sent."""
    found = [ModelSchema.of(one) for one in request.services.models.installed()]
    # The settings may have a path, which is nobody's business.
    return ModelsSchema(models=found, chosen=Path(request.services.models.chosen()).stem)


@router.post(
    "/models",
    response={200: ModelSchema, 201: ModelSchema, **errors(403, 413, 415, 422, 503, 507)},
    summary="Upload a model",
    openapi_extra={"requestBody": {"required": True, "content": {_KIND: {"schema": _FILE}}}},
)
@decorate_view(refuse_below(AccessLevel.ADMINISTRATOR))
def upload_model(
    request: HttpRequest,
    name: str = Query(
        min_length=1, max_length=200, description="What people call it", examples=["garden 3"]
    ),
) -> Status:
    """Send a .tflite file, or a zip with one and its labels, as the body. For administrators.

    A child process runs it first. 201: it is installed; 200: this very file was here already, maybe
    under another name.
    """
    if request.content_type != _KIND:
        problem = f"Send the file as the body, with the type {_KIND}."
        raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
    services = request.services
    file = body_file(request)
    if file is None:
        problem = f"The file is larger than {services.settings.uploads.model_max_mb:g} MB."
        raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem)
    with file, translation.override("en"):
        try:
            added = services.models.add(name, file.chunks())
        except DuplicateModelError as error:
            return Status(HTTPStatus.OK, ModelSchema.of(services.models.find(error.subject)))
        except (ModelError, ContractError) as error:
            raise HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, error.problem) from error
    _log.info("%s has uploaded %s", request.user, added.version)
    return Status(HTTPStatus.CREATED, ModelSchema.of(added))


class Broker(BaseModel):
    """The connection over which daemons are heard."""

    connected: bool
    reason: str = Field(description="Why not")


class Recording(BaseModel):
    """How recording goes."""

    connected: bool = Field(description="Whether there is a connection to the broker")
    reason: str = Field(description="Why not")
    recorded: int = Field(description="Events that were written since the start")
    repeated: int = Field(description="Deliveries of events that were there already")
    ignored: int = Field(description="Messages that are neither events nor pictures")
    waiting: int = Field(description="Messages that wait to be written")
    trouble: str = Field(description="Why nothing can be written now; else empty")


class StatusSchema(BaseModel):
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
