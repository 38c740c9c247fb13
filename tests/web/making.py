"""Records for tests: as the recorder and uploads make them, but without either."""

import io
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from PIL import Image

from edge_classifier.web.models import Camera, Label, Record
from edge_classifier.web.records import picture_storage


def jpeg(colour: tuple[int, int, int] = (90, 140, 60), size: tuple[int, int] = (64, 48)) -> bytes:
    """A small picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


def label(name: str) -> Label:
    """The label of this name."""
    return Label.objects.get_or_create(name=name)[0]


def camera(name: str = "front", device: str = "pi") -> Camera:
    """The camera of this name."""
    return Camera.objects.get_or_create(device=device, name=name)[0]


def event(
    name: str = "cat", *, at: datetime | None = None, picture: bytes | None = None, **facts: Any
) -> Record:
    """One event of the camera ``front`` unless ``camera`` is given."""
    return _record(name, at, picture, {"source": "event", "camera": camera(), **facts})


def upload(
    name: str = "cat", *, at: datetime | None = None, picture: bytes | None = None, **facts: Any
) -> Record:
    """One uploaded picture; ``owner`` is who uploaded it."""
    return _record(name, at, picture or jpeg(), {"source": "upload", **facts})


def _record(name: str, at: datetime | None, picture: bytes | None, facts: dict[str, Any]) -> Record:
    at = at or timezone.now()
    defaults = {"score": 0.9, "margin": 0.5, "model": "test@00000000"}
    with transaction.atomic():
        return Record.objects.create(
            label=label(name),
            at=at,
            recorded_at=facts.pop("recorded_at", at),
            day=timezone.localdate(at),
            picture=picture_storage.put(picture, 64, 48) if picture else None,
            **{**defaults, **facts},
        )
