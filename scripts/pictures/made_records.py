"""Makes people, and records of some weeks as if the cameras of the pictures had seen them."""

import io
import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from PIL import Image

from edge_classifier import samples
from edge_classifier.web import startup
from edge_classifier.web.config.load_settings import load

DAYS = 21
EVENTS = 420
MODEL = "mobilenet-v2-int8@ac8b0d0a"
# Devices, their cameras, and the bundled photographs that these see.
SCENES = {
    "garden": {"gate": ("cat", "raccoon"), "meadow": ("rocket", "cat")},
    "kitchen": {"counter": ("espresso", "cat"), "door": ("uniform", "espresso")},
}
# What the daemons say of them.
LABELS = {
    "cat": ("Egyptian cat", "tabby", "tiger cat"),
    "espresso": ("espresso", "cup"),
    "raccoon": ("badger", "polecat"),
    "rocket": ("rocket",),
    "uniform": ("military uniform",),
}
# Where these stand in the tree of names.
ABOVE = {
    "Egyptian cat": ("animal", "cat"),
    "tabby": ("animal", "cat"),
    "tiger cat": ("animal", "cat"),
    "badger": ("animal",),
    "polecat": ("animal",),
}
# What reviewers say, where that is not it.
TRUTHS = {"cat": "Egyptian cat", "espresso": "espresso", "raccoon": "raccoon"}
CHINESE = {
    "Egyptian cat": "埃及猫",
    "tabby": "虎斑猫",
    "tiger cat": "虎纹猫",
    "espresso": "意式浓缩咖啡",
    "cup": "杯子",
    "badger": "獾",
    "polecat": "林鼬",
    "military uniform": "军装",
    "raccoon": "浣熊",
    "rocket": "火箭",
    "animal": "动物",
    "cat": "猫",
}


def fill(settings: Sequence[str]) -> str:
    """Make people, and events of some weeks; the cookie of an administrator.

    Before a browser is started: Django does not work beside Playwright's loop.
    """
    startup.migrate(startup.configure(load(None, settings, environment={})))
    from django.db import transaction

    from edge_classifier.web.models import Camera, Label, User

    chance = random.Random(3)  # noqa: S311 (the same pictures each time, and no secret)
    anna = User.objects.create_user("anna", password=None, role="administrator")
    User.objects.create_user("bo", password=None, role="reviewer")
    cameras = [
        (Camera.objects.create(device=device, name=name), kinds)
        for device, scenes in SCENES.items()
        for name, kinds in scenes.items()
    ]
    now = datetime.now().astimezone()
    begin = now - timedelta(days=DAYS)
    Label.objects.bulk_create(
        Label(name=name, chinese=text, first_seen=begin) for name, text in CHINESE.items()
    )
    # All of them at once: each by itself would wait for the disk.
    with transaction.atomic():
        for _ in range(EVENTS):
            camera, kinds = chance.choice(cameras)
            at = daytime(now - timedelta(days=DAYS * chance.random()), chance)
            make_event(chance, camera, chance.choice(kinds), min(at, now), anna)
    return log_in(anna)


def daytime(at: datetime, chance: random.Random) -> datetime:
    """The same day at an hour at which somebody is awake."""
    return at.replace(hour=round(chance.triangular(6, 22, 17)))


def make_event(chance: random.Random, camera: Any, kind: str, at: datetime, reviewer: Any) -> None:
    """One event of a made-up day, or a glimpse."""
    from django.utils import timezone

    from edge_classifier.web.models import Label, Record
    from edge_classifier.web.records import picture_storage
    from edge_classifier.web.review import verdicts

    label = Label.objects.get(name=chance.choice(LABELS[kind]))
    width, height, jpeg = seen(kind, chance)
    score = chance.betavariate(12, 2)
    is_glimpse = chance.random() < 0.15
    duration_s = chance.uniform(0.3, 1) if is_glimpse else chance.expovariate(1 / 90)
    others = [name for name in CHINESE if name != label.name]
    rest = [(1 - score) * share for share in (0.6, 0.2)]
    left, top, side = (chance.uniform(*span) for span in ((0, 0.2), (0, 0.2), (0.5, 0.8)))
    detail = {
        "path": [*ABOVE.get(label.name, ()), label.name],
        "box": [left, top, side, side],
        "frame_ms": round(1000 * at.timestamp()),
    }
    record = Record.objects.create(
        key=uuid.UUID(int=chance.getrandbits(128)),
        source=Record.Source.GLIMPSE if is_glimpse else Record.Source.EVENT,
        camera=camera,
        at=at,
        day=timezone.localdate(at),
        label=label,
        before=chance.choice(("unknown", "tabby", "espresso")),
        score=score,
        entry_score=None if is_glimpse else 0.6 * score,
        margin=score - rest[0],
        top=[[label.name, score], *map(list, zip(chance.sample(others, 2), rest, strict=True))],
        duration_s=duration_s,
        peak_after_s=duration_s / 3,
        detail=detail | ({"reason": "dwell", "needs_s": 1.0, "frames": 2} if is_glimpse else {}),
        model=MODEL,
        delay_ms=chance.triangular(5, 30, 8),
        picture=picture_storage.put(jpeg, width, height),
    )
    if not is_glimpse and chance.random() < 0.35:
        truth = TRUTHS.get(kind, label.name)
        verdicts.judge(record, verdicts.CORRECTED, truth, reviewer)


def seen(kind: str, chance: random.Random) -> tuple[int, int, bytes]:
    """Width, height and JPEG of a photograph, as a camera sees it that is moved a little."""
    with Image.open(samples.FOLDER / f"{kind}.jpg") as opened:
        picture = opened.convert("RGB")
    width, height = (round(chance.uniform(0.75, 1) * side) for side in picture.size)
    left, top = chance.randint(0, picture.width - width), chance.randint(0, picture.height - height)
    cut = picture.crop((left, top, left + width, top + height))
    file = io.BytesIO()
    cut.save(file, "JPEG", quality=80)
    return width, height, file.getvalue()


def log_in(user: Any) -> str:
    """The cookie of somebody who has logged in."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)
