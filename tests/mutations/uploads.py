"""Damaged uploads, and the page: its own Django, and a real child process."""

import random
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.mutations.damage import Findings, mutated
from tests.mutations.models import full_model, rewritten
from tests.mutations.pictures import pictures

_BOUNDARY = "a-line-between"
# Of so many uploads, one is a model: each is tried in a child of a child.
_MODEL_EVERY = 50


def try_uploads(client: Client, folder: Path, count: int, source: random.Random) -> Findings:
    """Pictures, whole forms and models, sent by ``client``, an administrator: no answer is 5xx."""
    findings = Findings()
    # A form that is refused answers 400, which Django's client would raise as what it logs.
    client.raise_request_exception = False
    seeds = list(pictures())
    model = full_model(folder / "uploaded.tflite").read_bytes()
    for number in range(count):
        cache.clear()  # How many uploads there were is not what is tried.
        with findings.trial(f"upload {number}", limit_s=90):
            if number % _MODEL_EVERY == 0:
                status = _send_model(client, model, source)
            elif number % 4 == 0:
                status = _send_form(client, source.choice(seeds), source)
            elif number % 4 == 1:
                data = mutated(source.choice(seeds), source)
                answer = client.post("/api/v1/classify", data, content_type="image/jpeg")
                status = answer.status_code
            else:
                data = mutated(source.choice(seeds), source)
                name = source.choice(("a.jpg", "a\x00.png", "../../a", "ß" * 300, '"; a="b'))
                file = SimpleUploadedFile("replaced", data, "image/jpeg")
                file._name = name
                status = client.post("/classify", {"pictures": file}).status_code
            findings.endings[str(status)] += 1
            assert status < 500, f"status {status}"
    del findings.endings["taken"]
    return findings


def _send_form(client: Client, picture: bytes, source: random.Random) -> int:
    """A body of a form that is damaged as a whole, its lines between the parts too."""
    head = b'Content-Disposition: form-data; name="pictures"; filename="a.jpg"\r\n'
    part = head + b"Content-Type: image/jpeg\r\n\r\n" + picture + b"\r\n"
    line = b"--" + _BOUNDARY.encode()
    body = line + b"\r\n" + part + line + b"--\r\n"
    body = mutated(body, source, 0, source.choice((200, len(body))))
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    if source.random() < 0.2:
        kind = mutated(kind.encode(), source).decode("latin-1").replace("\n", "").replace("\r", "")
    path = source.choice(("/classify", "/api/v1/classify"))
    return int(client.post(path, body, content_type=kind).status_code)


def _send_model(client: Client, model: bytes, source: random.Random) -> int:
    data = next(_damaged_models(model, source))
    file = SimpleUploadedFile("mutated.tflite", data, "application/octet-stream")
    return int(client.post("/models/upload", {"model": file}).status_code)


def _damaged_models(model: bytes, source: random.Random) -> Iterator[bytes]:
    kind = source.randrange(3)
    if kind == 0:
        yield mutated(model, source)
    elif kind == 1:
        try:
            yield rewritten(model, source)
        except Exception:  # noqa: BLE001 (a number that its field cannot hold: other damage)
            yield mutated(model, source)
    else:
        file = BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("model.tflite", mutated(model, source))
            archive.writestr("labels.txt", "0 red\n1 green\n2 blue\n")
        yield mutated(file.getvalue(), source)
