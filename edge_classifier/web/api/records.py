"""Records: reading, deleting, reviewing."""

from http import HTTPStatus
from typing import Literal
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Field, Query, Router, Schema
from ninja.errors import HttpError
from ninja.responses import Status

from edge_classifier.web import models
from edge_classifier.web.accounts import roles
from edge_classifier.web.accounts.roles import AccessLevel
from edge_classifier.web.api.authentication import require_role
from edge_classifier.web.api.problems import errors
from edge_classifier.web.api.schemas import (
    Judgement,
    RecordLinks,
    RecordSchema,
    RecordsSchema,
    Source,
)
from edge_classifier.web.records import deletion, keyset, picture_storage
from edge_classifier.web.records.filters import Filter
from edge_classifier.web.review import verdicts

router = Router(tags=["Records"])
# What an answer tells of a record.
_RELATED = ("label", "camera", "truth", "reviewer")
_JPEG = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}


class Filters(Schema):
    """Conditions that all hold; the same as those of the page's history."""

    kind: Literal["", "glimpsed", "all"] = Field(
        "", description="Empty: what was seen; `glimpsed`: for too short a time to be an event"
    )
    device: str = Field("", description="Name of a device", examples=["pi"])
    camera: str = Field("", description="Name of a camera", examples=["front"])
    label: str = Field(
        "", description="As what it counts: the true label if reviewed, else the predicted one"
    )
    source: Source | Literal[""] = Field(
        "", description="`event`: a camera's; `upload`, `api`: sent"
    )
    review: Literal["yes", "no", "confirmed", "corrected", "nothing", "rejected", "any", ""] = (
        Field(
            "",
            description="Whether it is reviewed, or what the reviewer said; what was `rejected` is"
            " found by that and by `any` only",
        )
    )
    new: Literal["yes", ""] = Field(
        "", description="`yes`: what was unlike all that its camera had shown for weeks"
    )
    score_min: float | None = Field(None, ge=0, le=1)
    score_max: float | None = Field(None, ge=0, le=1)
    since: str = Field(
        "",
        description="A day, or a time; in the page's time zone unless it names another",
        examples=["2026-11-22", "2026-11-22T14:30:00Z"],
    )
    until: str = Field("", description="The same; a day is meant to its end")
    order: Literal["", "score"] = Field(
        "", description="`score`: the highest first; else the newest"
    )


class Paging(Schema):
    """Which part of a list."""

    limit: int = Field(50, ge=1, le=200, description="Records at once")
    before: str = Field("", description="Where to go on; `next` has it")


@router.get("/records", response={200: RecordsSchema, **errors(422)}, summary="History")
def history(request: HttpRequest, filters: Query[Filters], paging: Query[Paging]) -> RecordsSchema:
    """The records that one may see, the newest or the surest first.

    Follow `next` until it is null: no record comes twice or is left out, whatever is added
    meanwhile.
    """
    chosen = Filter.parse(filters.model_dump(exclude_none=True))
    field: keyset.Field = "score" if filters.order == "score" else "at"
    before = keyset.Position.parse(paging.before, field) if paging.before else None
    records = chosen.find(roles.visible(request), field, chosen.sums(request.user))[0]
    page = keyset.page(records, paging.limit, _with_names, before=before, field=field)
    addresses = RecordLinks(request)
    found = [RecordSchema.of(one, addresses) for one in page.records]
    if page.older is None:
        return RecordsSchema(records=found, next=None)
    # The address of this request, but from there on.
    params = request.GET.copy()
    params["before"] = str(page.older)
    address = request.build_absolute_uri(f"{request.path}?{params.urlencode()}")
    return RecordsSchema(records=found, next=address)


@router.get(
    "/records/{uuid:key}", response={200: RecordSchema, **errors(404)}, summary="One record"
)
def record(request: HttpRequest, key: UUID) -> RecordSchema:
    """An event or an upload."""
    return RecordSchema.of(_found(request, key), RecordLinks(request))


@router.get(
    "/records/{uuid:key}/picture",
    response=errors(404),
    summary="The picture of a record",
    openapi_extra={"responses": {200: {"description": "A JPEG", "content": _JPEG}}},
)
def picture(request: HttpRequest, key: UUID) -> HttpResponse:
    """A JPEG without EXIF. Events have one if the daemon sends snapshots."""
    found = _found(request, key)
    if found.picture is None:
        raise HttpError(HTTPStatus.NOT_FOUND, "This record has no picture.")
    try:
        jpeg = picture_storage.read(picture_storage.picture_name(found.picture.sha256))
    except FileNotFoundError as error:
        raise HttpError(HTTPStatus.NOT_FOUND, "The picture is gone from storage.") from error
    is_last = found.keeps_picture(timezone.now())
    caching = "private, max-age=86400, immutable" if is_last else "private, max-age=5"
    headers = {"Cache-Control": caching}
    return HttpResponse(jpeg, content_type="image/jpeg", headers=headers)


@router.delete(
    "/records/{uuid:key}", response={204: None, **errors(403, 404)}, summary="Delete a record"
)
def delete(request: HttpRequest, key: UUID) -> Status:
    """Delete a record with its picture: one's own, or as a reviewer any."""
    found = _found(request, key)
    mine = deletion.deletable_by(request.user).filter(pk=found.pk)
    if not mine.exists():
        raise HttpError(HTTPStatus.FORBIDDEN, "Only a reviewer may delete what is not theirs.")
    deletion.delete(mine)
    return Status(HTTPStatus.NO_CONTENT, None)


@router.put(
    "/records/{uuid:key}/review",
    response={200: RecordSchema, **errors(400, 403, 404, 422)},
    summary="Review a record",
)
def review(request: HttpRequest, key: UUID, judgement: Judgement) -> RecordSchema:
    """Say what a record really shows. For reviewers."""
    require_role(request, AccessLevel.REVIEWER)
    found = _found(request, key)
    judged = verdicts.judge(found, judgement.verdict, judgement.truth, request.user)
    return RecordSchema.of(judged, RecordLinks(request))


def _with_names(records: QuerySet[models.Record]) -> QuerySet[models.Record]:
    return records.select_related(*_RELATED)


def _found(request: HttpRequest, key: UUID) -> models.Record:
    """The record with ``key``, if whoever asks may see it. Raises HttpError."""
    found = roles.visible(request).select_related(*_RELATED, "picture").filter(key=key).first()
    if found is None:
        raise HttpError(HTTPStatus.NOT_FOUND, "There is no such record, or not for you.")
    return found
