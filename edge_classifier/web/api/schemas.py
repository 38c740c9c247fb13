"""What the API gives and takes, as JSON. These texts are its documentation at /api/v1/docs."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from ninja import Field, Schema

from edge_classifier.web import models
from edge_classifier.web.api.problems import ProblemDetails
from edge_classifier.web.worker.messages import Classified

Source = Literal["event", "upload", "api"]
_LABEL = Field(description="The model's word for it, or `unknown`", examples=["espresso"])
_CHINESE = Field(description="Its Chinese name; empty if there is none", examples=["浓缩咖啡"])
_SCORE = Field(description="From 0 to 1", examples=[0.7657])
_MODEL = Field(
    description="Name and first digits of the file's SHA-256",
    examples=["efficientnet-lite0@21331c65"],
)


class ScoreSchema(Schema):
    """A label, and how much it looks like it."""

    label: str = _LABEL
    chinese: str = _CHINESE
    score: float = _SCORE


class CropSchema(Schema):
    """The part of the picture that the model saw, in fractions of its width and height."""

    left: float
    top: float
    width: float
    height: float


class Links(Schema):
    """Addresses of a record."""

    record: str = Field(description="The record, of this API")
    picture: str | None = Field(description="Its picture, a JPEG; null if it has none")
    page: str = Field(description="Its page, for people")

    @classmethod
    def of(cls, record: models.Record, request: HttpRequest) -> Self:
        """The addresses under which ``request`` reached us."""

        def address(name: str) -> str:
            return str(request.build_absolute_uri(reverse(name, kwargs={"key": record.key})))

        picture = address("api-1:picture") if record.picture_id else None
        return cls(record=address("api-1:record"), picture=picture, page=address("record"))


class SavedSchema(Schema):
    """The record that was made of a picture."""

    key: UUID
    links: Links


class Recognition(Schema):
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


class Refused(Schema):
    """A picture that could not be classified, beside others that could."""

    file: str
    problem: ProblemDetails


class Recognitions(Schema):
    """One result for each picture, in the order in which they were sent."""

    results: list[Recognition | Refused]


class CameraName(Schema):
    """Which camera of which device."""

    device: str = Field(examples=["pi"])
    name: str = Field(examples=["front"])


class ReviewSchema(Schema):
    """What a reviewer said."""

    verdict: Literal["confirmed", "corrected", "rejected"]
    truth: str | None = Field(description="What it really shows; null if it was rejected")
    reviewer: str | None = Field(description="null if the account is gone")
    at: datetime | None


class RecordSchema(Schema):
    """One recognition: an event of a camera, or a picture that somebody sent."""

    key: UUID
    source: Source
    at: datetime = Field(description="When the picture was taken, or sent")
    recorded_at: datetime = Field(description="When it came into the database")
    device_at: datetime | None = Field(
        description="Of events whose device had a wrong clock: what that said; `at` is then when"
        " the event was received"
    )
    camera: CameraName | None = Field(description="Of events")
    label: str = _LABEL
    chinese: str = _CHINESE
    before: str = Field(description="Of events: the label before; else empty")
    score: float = _SCORE
    margin: float = Field(description="How far the label is ahead of the second one")
    top: list[ScoreSchema] = Field(
        description="The best labels; of events, which do not tell, empty"
    )
    crop: CropSchema | None = Field(description="null for events, which do not tell")
    model: str = _MODEL
    review: ReviewSchema | None = Field(description="null if nobody has reviewed it")
    links: Links

    @classmethod
    def of(cls, record: models.Record, request: HttpRequest) -> Self:
        """What whoever sent ``request`` may know of ``record``: all."""
        camera = record.camera
        chinese = record.detail.get("chinese", {})
        crop = record.detail.get("crop")
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
            source=record.source,
            at=record.at,
            recorded_at=record.recorded_at,
            device_at=record.device_at,
            camera=CameraName(device=camera.device, name=camera.name) if camera else None,
            label=record.label.name,
            chinese=record.label.chinese,
            before=record.before,
            score=record.score,
            margin=record.margin,
            top=[
                ScoreSchema(label=label, chinese=chinese.get(label, ""), score=score)
                for label, score in record.top
            ],
            crop=CropSchema(**dict(zip(CropSchema.model_fields, crop, strict=True)))
            if crop
            else None,
            model=record.model,
            review=review,
            links=Links.of(record, request),
        )


class RecordsSchema(Schema):
    """One page of records, the newest first."""

    records: list[RecordSchema]
    next: str | None = Field(description="Address of the next page; null on the last one")


class Judgement(Schema):
    """What a reviewer says of a record."""

    verdict: Literal["", "confirmed", "corrected", "rejected"] = Field(
        description="`confirmed`: the label is right; `corrected`: `truth` is; `rejected`: the"
        " picture is of no use; empty: takes back what was said"
    )
    truth: str | None = Field(
        None,
        description="With `corrected`: the label that is right, a known or a new one",
        examples=["espresso"],
    )
