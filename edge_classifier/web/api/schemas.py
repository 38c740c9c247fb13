"""What the API gives and takes, as JSON. These texts are its documentation at /api/v1/docs.

Plain models of pydantic: those of ninja, which also read what belongs to an object of Django, take
three times as long, and a list has thousands.
"""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from ninja.schema import BaseModel, Field

from edge_classifier.web import models
from edge_classifier.web.api.problems import ProblemDetails
from edge_classifier.web.worker.messages import Classified

Source = Literal["event", "upload", "api"]
# Stands in an address where the key of a record belongs.
_ANY_KEY = UUID(int=0)
_LABEL = Field(description="The model's word for it, or `unknown`", examples=["espresso"])
_CHINESE = Field(description="Its Chinese name; empty if there is none", examples=["浓缩咖啡"])
_SCORE = Field(description="From 0 to 1", examples=[0.7657])
_MODEL = Field(
    description="Name and first digits of the file's SHA-256",
    examples=["mobilenet-v2-int8@ac8b0d0a"],
)


class ScoreSchema(BaseModel):
    """A label, and how much it looks like it."""

    label: str = _LABEL
    chinese: str = _CHINESE
    score: float = _SCORE


class CropSchema(BaseModel):
    """The part of the picture that the model saw, in fractions of its width and height."""

    left: float
    top: float
    width: float
    height: float


class Links(BaseModel):
    """Addresses of a record."""

    record: str = Field(description="The record, of this API")
    picture: str | None = Field(description="Its picture, a JPEG; null if it has none")
    page: str = Field(description="Its page, for people")


class RecordLinks:
    """Those under which a request reached us; looked for once for all of its records."""

    def __init__(self, request: HttpRequest) -> None:
        self._record, self._picture, self._page = (
            request.build_absolute_uri(reverse(name, kwargs={"key": _ANY_KEY}))
            for name in ("api-1:record", "api-1:picture", "record")
        )

    def of(self, record: models.Record) -> Links:
        """All of one record."""
        any_key, key = str(_ANY_KEY), str(record.key)
        return Links(
            record=self._record.replace(any_key, key),
            picture=self._picture.replace(any_key, key) if record.picture_id else None,
            page=self._page.replace(any_key, key),
        )


class SavedSchema(BaseModel):
    """The record that was made of a picture."""

    key: UUID
    links: Links


class Recognition(BaseModel):
    """What one picture shows."""

    file: str = Field(description="Name of the file, as it was sent", examples=["cup.jpg"])
    label: str = _LABEL
    top: list[ScoreSchema] = Field(description="The best labels, the best one first")
    width: int = Field(description="Of the picture as it was kept, in pixels")
    height: int
    crop: CropSchema
    timings_ms: dict[str, float] = Field(
        description="Milliseconds in each step",
        examples=[{"decode": 9.1, "preprocess": 1.2, "inference": 21.4, "encode": 6.3}],
    )
    model: str = _MODEL
    saved: SavedSchema | None = Field(description="null with `save=false`")

    @classmethod
    def of(cls, file: str, found: Classified, saved: SavedSchema | None) -> Self:
        """What was ``found`` in ``file``."""
        return cls(
            file=file,
            label=found.label,
            top=[ScoreSchema(**one._asdict()) for one in found.top],
            width=found.width,
            height=found.height,
            crop=CropSchema(**found.crop._asdict()),
            timings_ms={step: round(ms, 2) for step, ms in found.timings_ms.items()},
            model=found.model,
            saved=saved,
        )


class Refused(BaseModel):
    """A picture that could not be classified, beside others that could."""

    file: str
    problem: ProblemDetails


class Recognitions(BaseModel):
    """One result for each picture, in the order in which they were sent."""

    results: list[Recognition | Refused]


class CameraName(BaseModel):
    """Which camera of which device."""

    device: str = Field(examples=["pi"])
    name: str = Field(examples=["front"])


class ReviewSchema(BaseModel):
    """What a reviewer said."""

    verdict: Literal["confirmed", "corrected", "nothing", "rejected"]
    truth: str | None = Field(
        description="What it really shows: `unknown` where there is nothing; null if rejected"
    )
    reviewer: str | None = Field(description="null if the account is gone")
    at: datetime | None


class NotHeld(BaseModel):
    """Why a label that was glimpsed did not become the camera's."""

    reason: str = Field(
        description="`dwell`, `margin`, or `below_threshold`; perhaps others later",
        examples=["dwell"],
    )
    needs_s: float | None = Field(description="Seconds for which it would have had to hold")


class RecordSchema(BaseModel):
    """One recognition: an event of a camera, or a picture that somebody sent."""

    key: UUID
    source: Source
    kind: Literal["seen", "glimpsed"] = Field(
        description="`glimpsed`: by a camera, for too short a time to be an event"
    )
    at: datetime = Field(description="When the picture was taken that brought it, or sent")
    recorded_at: datetime = Field(description="When it came into the database")
    device_at: datetime | None = Field(
        description="Of events whose device had a wrong clock: what that said; `at` is then when"
        " the event was received"
    )
    camera: CameraName | None = Field(description="Of events")
    label: str = _LABEL
    chinese: str = _CHINESE
    before: str = Field(description="Of events: the label before; else empty")
    score: float = Field(
        description="From 0 to 1; of events whose label has gone, the highest that it had",
        examples=[0.7657],
    )
    entry_score: float | None = Field(
        description="That with which the label came; null until it has gone, and for what is sent"
    )
    duration_s: float | None = Field(
        description="Seconds for which the label stayed; null until it has gone"
    )
    peak_at: datetime | None = Field(description="When it had the highest score; null likewise")
    margin: float = Field(description="How far the label is ahead of the second one")
    top: list[ScoreSchema] = Field(
        description="The best labels; empty for events of devices that do not tell"
    )
    path: list[str] = Field(
        description="Of events: names from the root of a tree of labels to the label",
        examples=[["animal", "cat", "tabby"]],
    )
    crop: CropSchema | None = Field(
        description="What the model saw of it; of events what was looked at, null for all of it"
    )
    not_held: NotHeld | None = Field(description="Of glimpses; else null")
    new_here: bool = Field(
        description="Whether it was unlike all that its camera had shown for weeks"
    )
    model: str = _MODEL
    review: ReviewSchema | None = Field(description="null if nobody has reviewed it")
    links: Links

    @classmethod
    def of(cls, record: models.Record, addresses: RecordLinks) -> Self:
        """What whoever sent the request that ``addresses`` are of may know of ``record``: all."""
        camera = record.camera
        chinese = record.detail.get("chinese", {})
        crop = record.detail.get("crop") or record.detail.get("box")
        review = None
        if record.verdict:
            review = ReviewSchema(
                verdict=record.verdict,
                truth=record.truth.name if record.truth else None,
                reviewer=record.reviewer.get_username() if record.reviewer else None,
                at=record.reviewed_at,
            )
        return cls(
            key=record.key,
            source=record.origin,
            kind=record.kind,
            at=record.at,
            recorded_at=record.recorded_at,
            device_at=record.device_at,
            camera=CameraName(device=camera.device, name=camera.name) if camera else None,
            label=record.label.name,
            chinese=record.label.chinese,
            before=record.before,
            score=record.score,
            entry_score=record.entry_score,
            duration_s=record.duration_s,
            peak_at=record.peak_at,
            margin=record.margin,
            top=[
                ScoreSchema(label=label, chinese=chinese.get(label, ""), score=score)
                for label, score in record.top
            ],
            path=record.detail.get("path", []),
            not_held=NotHeld(
                reason=record.detail.get("reason", ""), needs_s=record.detail.get("needs_s")
            )
            if record.kind == "glimpsed"
            else None,
            crop=CropSchema(**dict(zip(CropSchema.model_fields, crop, strict=True)))
            if crop
            else None,
            new_here=bool(record.new_here),
            model=record.model,
            review=review,
            links=addresses.of(record),
        )


class RecordsSchema(BaseModel):
    """One page of records, the newest first."""

    records: list[RecordSchema]
    next: str | None = Field(description="Address of the next page; null on the last one")


class Judgement(BaseModel):
    """What a reviewer says of a record."""

    verdict: Literal["", "confirmed", "corrected", "nothing", "rejected"] = Field(
        description="`confirmed`: the label is right; `corrected`: `truth` is; `nothing`: there"
        " is nothing, whatever the model saw; `rejected`: the picture is of no use, and counts"
        " nowhere; empty: takes back what was said"
    )
    truth: str | None = Field(
        None,
        description="With `corrected`: the label that is right, a known or a new one",
        examples=["espresso"],
    )
