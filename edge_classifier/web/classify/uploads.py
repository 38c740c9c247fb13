"""From an uploaded file to a record: the same for the page and for programs."""

from datetime import datetime
from pathlib import Path

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from edge_classifier.errors import PictureError
from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.records import picture_storage
from edge_classifier.web.services import Services
from edge_classifier.web.worker.messages import Classified

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
        # What helps at a command line is nothing that people of a web page have.
        raise PictureError(file.name or "", error.problem) from error


def save(classified: Classified, *, source: Record.Source, owner: User | None) -> Record:
    """Keep the picture and what was found in it. Raises OutputError and StorageError."""
    now = timezone.now()
    best, *others = classified.top
    chinese = {scored.label: scored.chinese for scored in classified.top if scored.chinese}
    # One transaction for picture and record: a record with the same picture may be deleted now.
    with transaction.atomic():
        picture = picture_storage.put(classified.jpeg, classified.width, classified.height)
        thumbnail = picture_storage.thumbnail_name(picture.sha256)
        picture_storage.put_file(thumbnail, classified.thumbnail)
        return Record.objects.create(
            source=source,
            owner=owner,
            at=now,
            day=timezone.localdate(now),
            label=_label_seen(classified.label, chinese.get(classified.label, ""), now),
            score=best.score,
            margin=best.score - others[0].score if others else best.score,
            model=classified.model[:_LONGEST_NAME],
            top=[[scored.label, scored.score] for scored in classified.top],
            detail={
                "crop": list(classified.crop),
                "timings_ms": {name: round(ms, 2) for name, ms in classified.timings_ms.items()},
                "chinese": chinese,
            },
            picture=picture,
        )


def _label_seen(name: str, chinese: str, now: datetime) -> Label:
    """The label ``name``, which is seen for the first time now if it never was before."""
    defaults = {"chinese": chinese[:_LONGEST_NAME], "first_seen": now}
    label, _ = Label.objects.get_or_create(name=name[:_LONGEST_NAME], defaults=defaults)
    missing = [field for field, value in defaults.items() if value and not getattr(label, field)]
    if missing:
        for field in missing:
            setattr(label, field, defaults[field])
        Label.objects.filter(pk=label.pk).update(**{field: defaults[field] for field in missing})
    return label
