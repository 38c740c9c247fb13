"""A state folder with people, many records, and some that have a picture: for the real server.

python -m tests.web.http_server.filling STATE RECORDS PICTURES
"""

import sys
from datetime import timedelta
from pathlib import Path

from edge_classifier.web import startup
from edge_classifier.web.config.settings import WebSettings
from tests.web.serving import PASSWORD

PEOPLE = ("anna", "bert", "carl")


def fill(state: Path, records: int, pictures: int) -> None:
    """In a process of its own: Django takes its settings once."""
    startup.migrate(startup.configure(WebSettings(state_folder=state)))
    from django.utils import timezone

    from edge_classifier.web.models import Record, User
    from tests.web import making

    for name in PEOPLE:
        User.objects.create_user(name, password=PASSWORD, role="administrator")
    label, camera, now = making.label("x" * 190), making.camera(), timezone.now()
    Record.objects.bulk_create(
        Record(
            source="event",
            camera=camera,
            label=label,
            before="y" * 190,
            at=now - timedelta(seconds=number),
            day=now.date(),
            score=0.9,
            margin=0.5,
            model="test@00000000",
        )
        for number in range(records)
    )
    for number in range(pictures):
        making.event(picture=making.jpeg((number, 90, 30), (1200, 900)))


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
