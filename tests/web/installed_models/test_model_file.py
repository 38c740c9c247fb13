"""Daemons fetch models with tokens of their own: whole, in part, and nothing else."""

import gc
import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from edge_classifier.web.installed_models import device_tokens
from edge_classifier.web.installed_models.file_response import span_of
from edge_classifier.web.models import DeviceToken, User
from edge_classifier.web.services import Services
from tests.web.accounts.test_roles_matrix import ALL, METHODS, is_refused
from tests.web.api.client import problem, program

BODY = bytes(range(256)) * 600
SHA256 = hashlib.sha256(BODY).hexdigest()
ADDRESS = f"/api/v1/models/{SHA256}"


@pytest.fixture
def model(page: Services) -> Iterator[Path]:
    """An uploaded one; nobody has guessed at tokens yet."""
    cache.clear()
    path = page.folders.models / "garden-3.tflite"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(BODY)
    yield path
    path.unlink()
    cache.clear()


@pytest.fixture
def secret(db: None, model: Path) -> str:
    maker = User.objects.create_user("maker", role="administrator")
    return device_tokens.make(maker, "pi")[1]


def ask(secret: str, address: str = ADDRESS, method: str = "get", **headers: str) -> Any:
    client = Client(enforce_csrf_checks=True)
    return getattr(client, method)(
        address, headers={"Authorization": f"Bearer {secret}", **headers}
    )


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("", None),
        ("bytes=0-", range(100)),
        ("bytes=40-", range(40, 100)),
        ("bytes=40-49", range(40, 50)),
        ("bytes=40-40", range(40, 41)),
        ("bytes=40-1000", range(40, 100)),
        ("bytes=-10", range(90, 100)),
        ("bytes=-1000", range(100)),
        ("bytes=100-", range(100, 100)),
        ("bytes=200-300", range(200, 100)),
        ("bytes=-0", range(100, 100)),
        ("bytes=50-40", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=x-", None),
        (f"bytes={'9' * 19}-", None),
        (f"bytes={'9' * 18}-", range(int("9" * 18), 100)),
    ],
)
def test_span_is_what_one_range_asks_for(header: str, span: range | None) -> None:
    assert span_of(header, 100) == span


def test_model_file_comes_as_a_whole_and_may_be_kept(secret: str) -> None:
    answer = ask(secret)
    assert (answer.status_code, content(answer)) == (200, BODY)
    assert answer["Content-Length"] == str(len(BODY))
    assert answer["ETag"] == f'"{SHA256}"'
    assert answer["Accept-Ranges"] == "bytes"
    assert "private" in answer["Cache-Control"]
    assert "immutable" in answer["Cache-Control"]
    assert ask(secret, **{"If-None-Match": f'"{SHA256}"'}).status_code == 304


def test_model_file_goes_on_where_it_was_cut(secret: str) -> None:
    answer = ask(secret, Range="bytes=1000-", **{"If-Range": f'"{SHA256}"'})
    assert (answer.status_code, content(answer)) == (206, BODY[1000:])
    assert answer["Content-Range"] == f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"
    assert answer["Content-Length"] == str(len(BODY) - 1000)
    # Of what was another file, nothing is gone on with.
    answer = ask(secret, Range="bytes=1000-", **{"If-Range": '"other"'})
    assert (answer.status_code, content(answer)) == (200, BODY)
    answer = ask(secret, Range=f"bytes={len(BODY)}-")
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{len(BODY)}"


@pytest.mark.parametrize(("span", "length"), [("", len(BODY)), ("bytes=-100", 100)])
def test_model_file_tells_its_size_without_being_sent(secret: str, span: str, length: int) -> None:
    answer = ask(secret, method="head", **({"Range": span} if span else {}))
    assert answer.status_code == (206 if span else 200)
    assert answer["Content-Length"] == str(length)
    assert content(answer) == b""


def test_model_file_that_is_not_here_is_404(secret: str) -> None:
    problem(ask(secret, "/api/v1/models/" + "0" * 64))
    assert ask(secret, "/api/v1/models/" + "0" * 64).status_code == 404
    for wrong in ("garden-3", "..%2f..%2fsecret-key", "0" * 63, SHA256.upper()):
        assert ask(secret, f"/api/v1/models/{wrong}").status_code in (404, 422)


def test_model_file_is_for_no_token_but_a_devices(
    secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    person = program("administrator")
    answer = ask(person.secret)
    assert answer.status_code == 403
    assert "device's token" in problem(answer)["detail"]
    assert "sent a person's token" in caplog.text
    for wrong in ("", "edge_device_wrong", secret[:-1]):
        assert ask(wrong).status_code == 401
    assert "sent a token that is not known, or was revoked" in caplog.text
    assert secret[:-1] not in caplog.text
    assert Client().get(ADDRESS).status_code == 401


def test_model_file_is_not_for_the_cookie_of_a_browser(administrator: Client, model: Path) -> None:
    assert administrator.get(ADDRESS).status_code == 401


def test_token_that_was_revoked_fetches_nothing(secret: str) -> None:
    assert ask(secret).status_code == 200
    DeviceToken.objects.all().delete()
    assert ask(secret).status_code == 401


def test_token_of_a_device_opens_nothing_else(secret: str) -> None:
    answer = ask(secret, "/api/v1/models")
    assert answer.status_code == 403
    assert "fetches models, and nothing else" in problem(answer)["detail"]
    others = [one for one in ALL if one.name != "api-1:model_file"]
    for address in (one for one in others if one.name.startswith("api-1:")):
        for method in METHODS:
            seen = ask(secret, address.path, method.lower())
            assert is_refused(address, seen), f"{method} {address.path}: {seen.status_code}"
    assert ask(secret, "/models").status_code == 302


def test_wrong_tokens_are_guessed_so_often_and_no_more(secret: str) -> None:
    statuses = [ask("edge_device_guess").status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert ask(secret).status_code == 429


def test_model_files_have_so_many_places_and_one_device_not_all(
    secret: str, page: Services
) -> None:
    under_way = [ask(secret) for _ in range(2)]
    assert [answer.status_code for answer in under_way] == [200, 200]
    late = ask(secret)
    assert (late.status_code, late["Retry-After"]) == (503, "5")
    other = device_tokens.make(User.objects.get(username="maker"), "other")[1]
    assert ask(other).status_code == 200
    under_way.clear()
    gc.collect()
    assert content(ask(secret)) == BODY


def test_use_of_a_device_token_is_noted(secret: str) -> None:
    began = timezone.now()
    for after_s, noted_s in ((0, 0), (59, 0), (60, 60)):
        device_tokens.find(secret, began + timedelta(seconds=after_s))
        assert DeviceToken.objects.get().used_at == began + timedelta(seconds=noted_s)


def test_token_of_a_device_is_shown_once_to_an_administrator_and_outlives_them(
    administrator: Client, reviewer: Client, model: Path
) -> None:
    assert reviewer.get("/models/tokens").status_code == 403
    made = administrator.post("/models/tokens/make", {"name": "garden pi"})
    found = re.search(r'value="(edge_device_[^"]+)"', made.content.decode())
    assert found
    assert "no-store" in made["Cache-Control"]
    assert ask(found[1]).status_code == 200
    listed = administrator.get("/models/tokens").content.decode()
    assert "garden pi" in listed
    assert found[1] not in listed
    assert found[1] not in str(DeviceToken.objects.values().get())
    User.objects.all().delete()
    assert ask(found[1]).status_code == 200


def test_token_of_a_device_is_revoked_on_the_page(administrator: Client, secret: str) -> None:
    number = DeviceToken.objects.get().pk
    administrator.post(f"/models/tokens/{number}/revoke")
    assert ask(secret).status_code == 401
