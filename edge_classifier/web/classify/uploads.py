"""From an uploaded file to a record: the same for the page and for programs."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from edge_classifier.errors import OutputError, PictureError
from edge_classifier.web.apps import Services
from edge_classifier.web.models import Label, Picture, Record, User
from edge_classifier.web.records import picture_storage as store
from edge_classifier.web.worker.messages import Classified, LabelScore

# Characters of a label or a model that the tables take.
_LONGEST_NAME = 200


def classify_upload(file: UploadedFile, services: Services) -> Classified:
    """Classify one file of a request with the model that the administrator has chosen.

    Raises the errors of ``PictureWorker.classify``; PictureError has the file's own name.
    """
    try:
        path = Path(file.temporary_file_path())
        return services.worker.classify(path, services.models.chosen())
    except PictureError as error:
        raise PictureError(file.name or "", error.problem, error.remedy) from error


def save(classified: Classified, *, source: Record.Source, owner: User | None) -> Record:
    """Keep the picture and what was found in it. Raises OutputError, and S3's own errors."""
    now = timezone.now()
    best, *others = classified.top
    # One transaction for picture and record: a record with the same picture may be deleted now.
    with transaction.atomic():
        picture = _put(classified)
        return Record.objects.create(
            source=source,
            owner=owner,
            at=now,
            day=timezone.localdate(now),
            label=_label(classified, now),
            score=best.score,
            margin=best.score - others[0].score if others else best.score,
            model=classified.model[:_LONGEST_NAME],
            top=[[scored.label, scored.score] for scored in classified.top],
            detail=_detail(classified),
            picture=picture,
        )


def _put(classified: Classified) -> Picture:
    try:
        picture = store.put(classified.jpeg, classified.width, classified.height)
        store.put_file(store.thumbnail_name(picture.sha256), classified.thumbnail)
    except OSError as error:
        problem = f"cannot be kept ({error.strerror or error})"
        raise OutputError("the picture", problem, "Make room on the disk.") from error
    return picture


def _label(classified: Classified, now: datetime) -> Label:
    """Its label, seen for the first time now if never before."""
    chinese = _chinese(classified.top).get(classified.label, "")[:_LONGEST_NAME]
    defaults = {"chinese": chinese, "first_seen": now}
    label, _ = Label.objects.get_or_create(name=classified.label[:_LONGEST_NAME], defaults=defaults)
    missing = [name for name, value in defaults.items() if value and not getattr(label, name)]
    if missing:
        for name in missing:
            setattr(label, name, defaults[name])
        label.save(update_fields=missing)
    return label


def _detail(classified: Classified) -> dict[str, Any]:
    return {
        "crop": list(classified.crop),
        "timings_ms": {name: round(ms, 2) for name, ms in classified.timings_ms.items()},
        "chinese": _chinese(classified.top),
    }


def _chinese(top: Sequence[LabelScore]) -> dict[str, str]:
    """Chinese names by label, of those that have one."""
    return {scored.label: scored.chinese for scored in top if scored.chinese}
