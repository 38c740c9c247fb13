"""What the tests of hostile uploads share: one upload, and the child that takes it."""

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client


def send(client: Client, content: bytes, name: str = "picture.jpg") -> Any:
    file = SimpleUploadedFile("replaced", content, "image/jpeg")
    file._name = name  # Django's own client would send its base name only.
    return client.post("/classify", {"pictures": file})
