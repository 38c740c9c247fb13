"""Who may ask the API what, and how it refuses: each operation as everybody."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from edge_classifier.web.accounts import throttle
from edge_classifier.web.api import api
from edge_classifier.web.models import Record, User
from edge_classifier.web.services import Services
from tests.web import making
from tests.web.api.client import PROBLEM, ROLES, ROOT, Program, problem, program
from tests.web.conftest import PASSWORD

JSON = "application/json"
CONFIRM = {"data": {"verdict": "confirmed"}, "content_type": JSON}
REVIEWERS = {"viewer": 403, "reviewer": 200, "administrator": 200}
ALL = dict.fromkeys(ROLES, 200)
NO_ADMINISTRATOR = dict.fromkeys(ROLES, 403)
# Files of models are for tokens of devices, not of people.
FOR_DEVICES = "/models/{sha256}"
OPERATIONS: list[tuple[str, str, dict[str, Any], dict[str, int]]] = [
    # A request without a picture: that it is refused for that, says who may ask.
    ("post", "/classify", {"content_type": JSON}, dict.fromkeys(ROLES, 415)),
    ("get", "/records", {}, ALL),
    ("get", "/records/{event}", {}, ALL),
    ("get", "/records/{upload}", {}, {**ALL, "viewer": 404}),
    ("get", "/records/{event}/picture", {}, ALL),
    ("get", "/records/{upload}/picture", {}, {**ALL, "viewer": 404}),
    ("delete", "/records/{event}", {}, {"viewer": 403, "reviewer": 204, "administrator": 204}),
    ("delete", "/records/{upload}", {}, {"viewer": 404, "reviewer": 204, "administrator": 204}),
    ("put", "/records/{event}/review", CONFIRM, REVIEWERS),
    ("put", "/records/{upload}/review", CONFIRM, REVIEWERS),
    ("get", "/labels", {}, ALL),
    ("get", "/cameras", {}, ALL),
    ("get", "/models", {}, ALL),
    ("post", "/models", {"content_type": JSON}, {**NO_ADMINISTRATOR, "administrator": 422}),
    ("get", FOR_DEVICES, {}, dict.fromkeys(ROLES, 403)),
    ("get", "/rollouts", {}, ALL),
    ("get", "/rollouts/{number}", {}, dict.fromkeys(ROLES, 404)),
    (
        "post",
        "/rollouts",
        {"data": {}, "content_type": JSON},
        {**NO_ADMINISTRATOR, "administrator": 422},
    ),
    (
        "post",
        "/rollouts/{number}/end",
        {"data": {}, "content_type": JSON},
        {**NO_ADMINISTRATOR, "administrator": 404},
    ),
    ("get", "/status", {}, ALL),
    ("get", "/openapi.json", {}, ALL),
    ("get", "/docs", {}, ALL),
]


@pytest.fixture(autouse=True)
def _nobody_waits() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def keys(db: None) -> dict[str, str]:
    """An event, and what somebody else has uploaded."""
    somebody = User.objects.create_user("somebody")
    return {
        "event": str(making.event(picture=making.jpeg()).key),
        "upload": str(making.upload(owner=somebody).key),
        # Of nothing that there is.
        "sha256": 64 * "a",
        "number": "77",
    }


def test_every_operation_is_tried_as_every_role() -> None:
    described = {
        (method, path.removeprefix(ROOT).count("/"), path.rpartition("/")[2])
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method in methods
    }
    tried = {(method, path.count("/"), path.rpartition("/")[2]) for method, path, *_ in OPERATIONS}
    tried = {(a, b, "{key}" if last in {"{event}", "{upload}"} else last) for a, b, last in tried}
    assert described <= tried


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path", "request_", "statuses"), OPERATIONS)
def test_program_may_do_what_its_user_may(
    keys: dict[str, str],
    role: str,
    method: str,
    path: str,
    request_: dict[str, Any],
    statuses: dict[str, int],
) -> None:
    answer = program(role).ask(method, path.format(**keys), **request_)
    assert answer.status_code == statuses[role], answer.content
    if answer.status_code >= 400:
        problem(answer)


@pytest.mark.parametrize(("method", "path", "request_", "_"), OPERATIONS)
def test_stranger_is_asked_for_a_token(
    keys: dict[str, str], method: str, path: str, request_: dict[str, Any], _: dict[str, int]
) -> None:
    answer = getattr(Client(), method)(ROOT + path.format(**keys), **request_)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert "/tokens" in problem(answer)["detail"]
    assert Record.objects.filter(verdict="").count() == 2


@pytest.mark.parametrize("role", ROLES)
def test_browser_that_has_logged_in_may_do_the_same(
    keys: dict[str, str], role: str, request: pytest.FixtureRequest
) -> None:
    client: Client = request.getfixturevalue(role)
    for method, path, request_, statuses in OPERATIONS:
        if method == "get":
            answer = client.get(ROOT + path.format(**keys), **request_)
            # Whoever needs a device's token is asked for one, whoever has logged in.
            status = 401 if path == FOR_DEVICES else statuses[role]
            assert answer.status_code == status, path


def test_browser_needs_a_csrf_token_for_what_changes_something(
    keys: dict[str, str], reviewer: Client
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = reviewer.cookies
    path = f"{ROOT}/records/{keys['event']}"
    assert problem(browser.delete(path))["status"] == 403
    assert Record.objects.filter(key=keys["event"]).exists()
    browser.get("/tokens")
    csrf = browser.cookies["csrftoken"].value
    assert browser.delete(path, headers={"X-CSRFToken": csrf}).status_code == 204


def test_people_who_want_the_page_of_the_api_may_log_in(visitor: Client) -> None:
    answer = visitor.get(f"{ROOT}/docs", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer["Location"]) == (302, f"/login?next={ROOT}/docs")


def test_wrong_token_is_refused_even_beside_a_cookie_that_would_do(viewer: Client) -> None:
    answer = viewer.get(f"{ROOT}/status", headers={"Authorization": "Bearer wrong"})
    assert "not known" in problem(answer)["detail"]


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjp4", "wrong", "Bearer é"])
def test_header_that_is_no_token_is_refused(db: None, header: str) -> None:
    answer = Client().get(f"{ROOT}/status", HTTP_AUTHORIZATION=header)
    assert problem(answer)["status"] == 401


def test_password_is_no_way_into_the_api(db: None) -> None:
    User.objects.create_user("ann", password=PASSWORD)
    answer = Client().get(f"{ROOT}/status", headers={"Authorization": f"Bearer {PASSWORD}"})
    assert problem(answer)["status"] == 401


def test_who_guesses_tokens_has_to_wait_whatever_they_send(db: None) -> None:
    guess = {"Authorization": "Bearer guess"}
    statuses = [
        Client().get(f"{ROOT}/status", headers=guess).status_code
        for _ in range(throttle.GUESSES_PER_MINUTE)
    ]
    assert set(statuses) == {401}
    ann = program("viewer")
    answer = ann.ask("get", "/status")
    assert problem(answer)["status"] == 429
    assert 0 < int(answer["Retry-After"]) <= 61
    elsewhere = ann.ask("get", "/status", REMOTE_ADDR="192.0.2.9")
    assert elsewhere.status_code == 200


@pytest.fixture
def ann(db: None) -> Program:
    """A program of a reviewer."""
    return program("reviewer", "ann")


NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "path", "request_", "status"),
    [
        ("get", "/nothing", {}, 404),
        ("get", "/records/1", {}, 404),
        ("get", f"/records/{NOWHERE}", {}, 404),
        ("get", f"/records/{NOWHERE}/picture", {}, 404),
        ("delete", f"/records/{NOWHERE}", {}, 404),
        ("put", f"/records/{NOWHERE}/review", CONFIRM, 404),
        ("post", "/records", {}, 405),
        ("get", "/classify", {}, 405),
        ("get", "/status", {"HTTP_HOST": "evil.example"}, 400),
        ("get", "/records", {"query_params": {"limit": "201"}}, 422),
        ("get", "/records", {"query_params": {"limit": "x"}}, 422),
        ("get", "/records", {"query_params": {"score_min": "nan"}}, 422),
        ("get", "/records", {"query_params": {"source": "moon"}}, 422),
        ("get", "/records", {"query_params": {"label": "nobody has it"}}, 422),
        ("get", "/records", {"query_params": {"label": "\0"}}, 422),
        ("get", "/records", {"query_params": {"since": "yesterday"}}, 422),
        ("get", "/records", {"query_params": {"before": "1"}}, 422),
        ("get", "/records", {"query_params": {"before": "9" * 30 + ".1"}}, 422),
        ("get", "/labels", {"query_params": {"limit": "0"}}, 422),
    ],
)
def test_refusal_has_the_shape_of_all_problems(
    ann: Program, method: str, path: str, request_: dict[str, Any], status: int
) -> None:
    answer = ann.ask(method, path, **request_)
    refusal = problem(answer)
    assert refusal["status"] == status
    # Sentences are put together: each has its own full stop, and no other.
    assert ".." not in refusal.get("detail", "")
    assert int(answer["Content-Length"]) == len(answer.content)


def test_value_that_is_wrong_is_told_by_its_place_in_what_was_sent(db: None) -> None:
    wanted = {"model": "garden", "to": ["pi"], "limits": {"slower": 0}}
    answer = program("administrator").ask("post", "/rollouts", data=wanted, content_type=JSON)
    assert [one["where"] for one in problem(answer)["errors"]] == ["body.limits.slower"]
    assert problem(answer)["detail"].startswith("body.limits.slower: ")


def test_refusal_of_a_method_says_which_there_are(ann: Program) -> None:
    assert ann.ask("post", "/records")["Allow"] == "GET"


def test_failure_of_ours_is_a_problem_without_its_inside(
    ann: Program, change: Callable[..., Services]
) -> None:
    client = Client(raise_request_exception=False, headers=ann.headers)
    # No live view, which is a bug.
    change(live=SimpleNamespace(bursts=None))
    answer = client.get(f"{ROOT}/status")
    assert problem(answer)["status"] == 500
    assert "broker" not in answer.content.decode()


def test_page_outside_the_api_is_no_problem_of_its(visitor: Client) -> None:
    assert visitor.get("/nothing")["Content-Type"] != PROBLEM
