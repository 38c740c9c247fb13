"""Fills a database of the page with very many records, quickly: for measurements.

Some thousand records are made one by one; all others are copies of them, each at another time and
with a picture of its own, which the database makes while it has no indices and keeps no tally.
To be imported once Django has been configured.
"""

# ruff: noqa: S608 (all names in these statements are ours)

import hashlib
import io
import random
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone
from PIL import Image

from edge_classifier import samples
from edge_classifier.web.models import Camera, Label, Picture, PictureCode, Record, User
from edge_classifier.web.records import picture_storage
from edge_classifier.web.tally import upkeep

PEOPLE = ("viewer", "reviewer", "administrator")
# Two labels have it, so that who reads Chinese means both.
SHARED_NAME = "麻雀"
_DAYS, _DAY_S = 60, 86400
_LABELS = 300
# All records beyond these are copies of them.
_MADE, _AT_ONCE = 20_000, 5000
# So many of the newest records have files, as a list shows no others; and codes.
_PICTURED, _CODED = 200, 20_000
_VERDICTS = ("", "confirmed", "corrected", "nothing", "rejected")


def fill(count: int) -> None:
    """Records of the last weeks: a few frequent labels and many rare ones, mostly a camera's."""
    chance = random.Random(5)  # noqa: S311 (the same rows each time, and no secret)
    now = timezone.now()
    # Nobody logs in with a password.
    people = [User.objects.create_user(role, password=None, role=role) for role in PEOPLE]
    labels = [
        Label(
            name=f"label {n}" if n != 1 else Label.UNKNOWN,
            chinese=SHARED_NAME if n in (3, 4) else f"标签 {n}",
            first_seen=now - timedelta(days=n % _DAYS),
        )
        for n in range(_LABELS)
    ]
    cameras = [
        Camera(device=f"pi-{device}", name=name)
        for device in range(4)
        for name in ("front", "garden", "garage")
    ]
    Label.objects.bulk_create(labels)
    Camera.objects.bulk_create(cameras)
    made = min(count, _MADE)
    moments = sorted(now - timedelta(days=_DAYS * chance.random()) for _ in range(made))
    for begin in range(0, made, _AT_ONCE):
        step = moments[begin : begin + _AT_ONCE]
        names = [hashlib.sha256(f"{begin + n}".encode()).hexdigest() for n in range(len(step))]
        pictures = Picture.objects.bulk_create(
            [Picture(sha256=name, size=90_000, width=640, height=480) for name in names]
        )
        Record.objects.bulk_create(
            Record(picture=picture, **_facts(chance, labels, cameras, people, at))
            for at, picture in zip(step, pictures, strict=True)
        )
    _copy(count // made, now)
    _put_files()
    _put_codes()


def _facts(
    chance: random.Random,
    labels: list[Label],
    cameras: list[Camera],
    people: list[User],
    at: datetime,
) -> dict[str, Any]:
    """One record without its picture: 92 % of cameras, of which some are glimpses; 5 % reviewed."""
    label = labels[min(int(chance.paretovariate(0.8)) - 1, _LABELS - 1)]
    source = chance.choices(["event", "glimpse", "upload", "api"], [80, 12, 6, 2])[0]
    is_camera = source in ("event", "glimpse")
    verdict = chance.choices(_VERDICTS, [95, 3, 1, 0.3, 0.7])[0]
    truth = {"confirmed": label, "corrected": chance.choice(labels), "nothing": labels[1]}
    path = ["animal", "bird", label.name]
    detail = {"path": path, "box": [0.2, 0.3, 0.4, 0.3], "frame_ms": int(1000 * at.timestamp())}
    return {
        "key": uuid.UUID(int=chance.getrandbits(128)),
        "at": at,
        "recorded_at": at,
        "source": source,
        "camera": chance.choice(cameras) if is_camera else None,
        "owner": None if is_camera else chance.choice(people),
        "day": timezone.localdate(at),
        "label": label,
        "before": chance.choice(labels).name if source == "event" else "",
        "score": chance.betavariate(5, 2),
        "duration_s": 60 * chance.random() if is_camera else None,
        "margin": chance.random(),
        "model": "mobilenet-v2-int8@ac8b0d0a",
        "delay_ms": 7.4 if is_camera else None,
        "top": [[one.name, 0.2] for one in chance.sample(labels, 5)],
        "detail": detail if is_camera else {},
        "verdict": verdict,
        "truth": truth.get(verdict),
        "reviewer": people[1] if verdict else None,
        "reviewed_at": at if verdict else None,
        "new_here": True if is_camera and chance.random() < 0.002 else None,
    }


def _copy(times: int, now: datetime) -> None:
    """Have ``times`` as many records as there are, evenly over the same days."""
    is_sqlite = connection.vendor == "sqlite"
    begin = f"'{now - timedelta(days=_DAYS):%Y-%m-%d %H:%M:%S}'"
    made = Record.objects.count()
    with connection.cursor() as cursor:
        if is_sqlite:
            cursor.execute("PRAGMA cache_size = -600000")
        for name in upkeep.installed():
            if name != "web_tally":  # On PostgreSQL the function of both triggers.
                cursor.execute(f"DROP TRIGGER {name}{'' if is_sqlite else ' ON web_record'}")
    with connection.schema_editor() as editor:
        for index in Record._meta.indexes:
            editor.remove_index(Record, index)
    for number in range(1, times):
        # Each day gets a part of every other one.
        back_s = number * _DAYS * _DAY_S // times
        ahead_s = _DAYS * _DAY_S - back_s
        if is_sqlite:
            is_early = f"datetime(at, '-{back_s} seconds') < {begin}"
            moved = f"CASE WHEN {is_early} THEN '{ahead_s} seconds' ELSE '-{back_s} seconds' END"
            moved, day = f"datetime(at, {moved}) || substr(at, 20)", "date(moved, 'localtime')"
            digest, key = "lower(hex(randomblob(32)))", "lower(hex(randomblob(16)))"
        else:
            is_early = f"at - interval '{back_s} seconds' < timestamptz {begin[:-1]}+00'"
            moved = f"at + CASE WHEN {is_early} THEN {ahead_s} ELSE -{back_s} END * interval '1 s'"
            day = f"(moved AT TIME ZONE '{settings.TIME_ZONE}')::date"
            digest, key = "md5(random()::text) || md5(random()::text)", "gen_random_uuid()"
        picture = {"id": f"id + {number * made}", "sha256": digest}
        record = {
            "key": key,
            "at": "moved",
            "recorded_at": "moved",
            "day": day,
            "picture_id": f"picture_id + {number * made}",
            # Few have the same.
            "score": f"score * {1 - number * 1e-4}",
            "margin": f"margin * {1 - number * 1e-4}",
        }
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_copied(Picture, picture, f"web_picture WHERE id <= {made}"))
            source = f"(SELECT *, {moved} AS moved FROM web_record WHERE id <= {made}) AS r"
            cursor.execute(_copied(Record, record, source))
    with connection.schema_editor() as editor:
        for index in Record._meta.indexes:
            editor.add_index(Record, index)
    upkeep.install()
    if not is_sqlite:
        with connection.cursor() as cursor:
            # SQLite's file has no statistics where nobody makes them; PostgreSQL makes them itself.
            cursor.execute("ANALYZE")
            cursor.execute("SELECT setval('web_picture_id_seq', MAX(id)) FROM web_picture")


def _copied(model: type[Model], new: Mapping[str, str], source: str) -> str:
    """The statement that puts rows of ``source`` into a table, with ``new`` values."""
    columns = [one.column for one in model._meta.concrete_fields]
    columns = [one for one in columns if one != "id" or "id" in new]
    into, out = (
        ", ".join(f'"{one}"' for one in columns),
        (new.get(one, f'"{one}"') for one in columns),
    )
    return f"INSERT INTO {model._meta.db_table} ({into}) SELECT {', '.join(out)} FROM {source}"


def _put_files() -> None:
    """Pictures and thumbnails of the newest records."""
    jpeg = (Path(samples.__file__).parent / "cat.jpg").read_bytes()
    small = io.BytesIO()
    with Image.open(io.BytesIO(jpeg)) as picture:
        picture.resize((320, 240)).save(small, "JPEG")
    newest = Record.objects.order_by("-at", "-id").values_list("picture__sha256", flat=True)
    for sha256 in newest[:_PICTURED]:
        picture_storage.put_file(picture_storage.picture_name(sha256), jpeg)
        picture_storage.put_file(picture_storage.thumbnail_name(sha256), small.getvalue())


def _put_codes() -> None:
    """What the newest pictures look like: some are on piles of up to twenty."""
    newest = Record.objects.order_by("-at", "-id").values_list("picture", flat=True)
    pictures = list(newest[:_CODED])
    PictureCode.objects.bulk_create(
        [
            PictureCode(
                picture_id=one,
                base="0" * 16,
                code=b"0" * 64,
                pile=pictures[n - n % 20] if n % 3 else one,
            )
            for n, one in enumerate(pictures)
        ],
        batch_size=_AT_ONCE,
    )
