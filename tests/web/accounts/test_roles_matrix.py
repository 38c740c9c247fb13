"""Every address as everybody: whoever adds one has to say here who may ask it for what."""

import re
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from edge_classifier.web.accounts.roles import AccessLevel
from edge_classifier.web.models import Lesson, Record, User
from edge_classifier.web.records import picture_storage
from tests.web import making
from tests.web.conftest import PASSWORD

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
VISITOR, VIEWER = AccessLevel.VISITOR, AccessLevel.VIEWER
REVIEWER, ADMINISTRATOR = AccessLevel.REVIEWER, AccessLevel.ADMINISTRATOR
# Name to the least role for each method; a method without one is refused to everybody.
#
# The rest of the administration is for administrators.
RULES: dict[str, dict[str, AccessLevel]] = {
    "first": {"GET": VISITOR},
    "classify": {"GET": VISITOR, "POST": VIEWER},
    "record": {"GET": VIEWER},
    "picture": {"GET": VIEWER},
    "thumbnail": {"GET": VIEWER},
    "live": {"GET": VIEWER},
    "live-stream": {"GET": VIEWER},
    "live-frame": {"GET": VIEWER},
    "live-moving": {"GET": VIEWER},
    "live-camera": {"GET": VIEWER},
    "live-change": {"POST": REVIEWER},
    "live-effect": {"GET": REVIEWER},
    "live-forget": {"POST": REVIEWER},
    "history": {"GET": VIEWER},
    "history-chart": {"GET": VIEWER},
    "history-days": {"GET": VIEWER},
    "label": {"GET": VIEWER},
    "history-names": {"GET": VIEWER},
    "history-csv": {"GET": VIEWER},
    "history-json": {"GET": VIEWER},
    "history-delete": {"POST": VIEWER},
    "review": {"GET": REVIEWER, "POST": REVIEWER},
    "review-dataset": {"GET": REVIEWER},
    "review-compare": {"GET": REVIEWER, "POST": REVIEWER},
    "review-judge": {"POST": REVIEWER},
    "review-never": {"POST": REVIEWER},
    "lessons": {"GET": REVIEWER, "POST": REVIEWER},
    "lesson": {"GET": REVIEWER},
    "lesson-more": {"GET": REVIEWER, "POST": REVIEWER},
    "lesson-choose-class": {"GET": REVIEWER},
    "lesson-settings": {"GET": REVIEWER, "POST": REVIEWER},
    "lesson-delete": {"POST": REVIEWER},
    "lesson-zip": {"GET": REVIEWER},
    "lesson-frames": {"POST": REVIEWER},
    "lesson-class-add": {"POST": REVIEWER},
    "lesson-class": {"GET": REVIEWER, "POST": REVIEWER},
    "lesson-class-delete": {"POST": REVIEWER},
    "lesson-store": {"GET": REVIEWER, "POST": REVIEWER},
    "lesson-store-picture": {"GET": REVIEWER},
    "lesson-history": {"GET": REVIEWER, "POST": REVIEWER},
    "lesson-pictures": {"POST": REVIEWER},
    "lesson-pictures-add": {"POST": REVIEWER},
    "lesson-picture": {"GET": REVIEWER},
    "lesson-thumbnail": {"GET": REVIEWER},
    "lesson-panel": {"GET": REVIEWER},
    "lesson-teach": {"POST": REVIEWER},
    "lesson-cancel": {"POST": REVIEWER},
    "lesson-settle": {"POST": REVIEWER},
    "lesson-report": {"GET": REVIEWER},
    "lesson-try": {"GET": REVIEWER},
    "lesson-try-stream": {"GET": REVIEWER},
    "lesson-upload": {"POST": ADMINISTRATOR},
    "lesson-use": {"POST": ADMINISTRATOR},
    "lesson-back": {"POST": ADMINISTRATOR},
    "models": {"GET": VIEWER},
    "models-upload": {"POST": ADMINISTRATOR},
    "models-choose": {"POST": ADMINISTRATOR},
    "models-switch": {"POST": ADMINISTRATOR},
    "models-tokens": {"GET": ADMINISTRATOR},
    "models-tokens-create": {"POST": ADMINISTRATOR},
    "models-tokens-revoke": {"POST": ADMINISTRATOR},
    "models-report": {"GET": VIEWER, "POST": VIEWER},
    "models-send": {"POST": ADMINISTRATOR},
    "models-delete": {"POST": ADMINISTRATOR},
    "rollouts": {"GET": VIEWER},
    "rollout-create": {"GET": ADMINISTRATOR, "POST": ADMINISTRATOR},
    "rollout": {"GET": VIEWER},
    "rollout-halt": {"POST": ADMINISTRATOR},
    "notify": {"GET": ADMINISTRATOR},
    "notify-test": {"POST": ADMINISTRATOR},
    "tokens": {"GET": VIEWER},
    "tokens-create": {"POST": VIEWER},
    "tokens-revoke": {"POST": VIEWER},
    "login": {"GET": VISITOR, "POST": VISITOR},
    "logout": {"POST": VISITOR},
    "password": {"GET": VIEWER, "POST": VIEWER},
    "first-run": {"GET": VISITOR, "POST": VISITOR},
    "health": {"GET": VISITOR},
    "accounts": {"GET": ADMINISTRATOR, "POST": ADMINISTRATOR},
    "account-role": {"POST": ADMINISTRATOR},
    "account-password": {"POST": ADMINISTRATOR},
    "account-remove": {"GET": ADMINISTRATOR, "POST": ADMINISTRATOR},
    "choose-password": {"GET": VISITOR, "POST": VISITOR},
    "manifest": {"GET": VISITOR},
    "service-worker": {"GET": VISITOR},
    "offline": {"GET": VISITOR},
    "set-theme": {"POST": VISITOR},
    "set_language": dict.fromkeys(METHODS, VISITOR),
    "api-1:openapi-json": dict.fromkeys(METHODS, VIEWER),
    "api-1:openapi-view": dict.fromkeys(METHODS, VIEWER),
    "api-1:api-root": {},
    "api-1:classify": {"POST": VIEWER},
    "api-1:history": {"GET": VIEWER},
    "api-1:record": {"GET": VIEWER, "DELETE": REVIEWER},
    "api-1:delete": {"GET": VIEWER, "DELETE": REVIEWER},
    "api-1:picture": {"GET": VIEWER},
    "api-1:review": {"PUT": REVIEWER},
    "api-1:labels": {"GET": VIEWER},
    "api-1:cameras": {"GET": VIEWER},
    "api-1:installed_models": {"GET": VIEWER, "POST": ADMINISTRATOR},
    "api-1:upload_model": {"GET": VIEWER, "POST": ADMINISTRATOR},
    # For devices, which have tokens of their own.
    "api-1:model_file": {},
    "api-1:rollouts": {"GET": VIEWER, "POST": ADMINISTRATOR},
    "api-1:begin_rollout": {"GET": VIEWER, "POST": ADMINISTRATOR},
    "api-1:rollout": {"GET": VIEWER},
    "api-1:end_rollout": {"POST": ADMINISTRATOR},
    "api-1:status": {"GET": VIEWER},
    "admin:login": {"GET": VISITOR, "POST": VISITOR},
}
# Who may not see them is not told that they are there: 404.
HIDDEN = {"record", "picture", "thumbnail", "api-1:api-root"}
KEY = UUID("01234567-89ab-4cde-8f01-23456789abcd")
REVIEW = '{"verdict": "confirmed"}'
SAMPLES = {
    "key": str(KEY),
    "device": "pi",
    "camera": "front",
    "name": "none",
    "number": "1",
    "token": "x",
    "uidb64": "x",
    "id": "1",
    "sha256": "0" * 64,
    "content_type_id": "1",
    "object_id": "1",
    "url": "x/",
    "app_label": "web",
}


class Address(NamedTuple):
    """One pattern, with something in its gaps."""

    name: str
    path: str


def addresses(
    resolver: URLResolver, prefix: str = "/", spaces: tuple[str, ...] = ()
) -> Iterator[Address]:
    """All that are answered below ``resolver``."""
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield Address(":".join((*spaces, pattern.name or "")), filled(route))
        else:
            inner = (*spaces, pattern.namespace) if pattern.namespace else spaces
            yield from addresses(pattern, route, inner)


def filled(route: str) -> str:
    """A path that matches ``route``, which may be a regular expression of the administration."""
    plain = re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda gap: SAMPLES[gap[1]], route)
    plain = re.sub(r"<(?:\w+:)?(\w+)>", lambda gap: SAMPLES[gap[1]], plain)
    return re.sub(r"[\^$\\]", "", plain).replace("//", "/")


ALL = sorted(set(addresses(get_resolver())))


def rule_of(name: str) -> dict[str, AccessLevel]:
    """Who may what."""
    if name not in RULES and name.startswith("admin:"):
        return dict.fromkeys(METHODS, ADMINISTRATOR)
    return RULES[name]


def is_refused(address: Address, response: HttpResponse) -> bool:
    to_login = response.headers.get("Location", "").startswith(("/login?next=", "/admin/"))
    hidden = response.status_code == 404 and address.name in HIDDEN
    return response.status_code in {401, 403, 405} or to_login or hidden


def read(response: HttpResponse) -> HttpResponse:
    """``response``, to its end: a stream has a file open, or holds a place, until then."""
    if response.streaming:
        list(response.streaming_content)
    return response


def shown(record: Record) -> Record:
    """``record`` with a thumbnail, for which no child process is needed then."""
    picture_storage.put_file(picture_storage.thumbnail_name(record.picture.sha256), making.jpeg())
    return record


@pytest.fixture
def ask(db: None, request: pytest.FixtureRequest) -> Client:
    """A browser of the role that the test is for; what it asks for is there."""
    shown(making.event(key=KEY, picture=making.jpeg()))
    Lesson.objects.create(key=KEY, name="garden")
    client = Client(raise_request_exception=False)
    role: AccessLevel = request.getfixturevalue("role")
    if role > VISITOR:
        client.force_login(User.objects.create_user("somebody", role=role.name.lower()))
    return client


@pytest.mark.parametrize("address", ALL, ids=lambda address: f"{address.name}{address.path}")
def test_address_has_a_rule(address: Address) -> None:
    assert address.name in RULES or address.name.startswith("admin:"), "who may ask for it?"


def test_rules_are_for_addresses_that_are_there() -> None:
    assert set(RULES) <= {address.name for address in ALL}


@pytest.mark.parametrize("role", list(AccessLevel), ids=lambda role: role.name.lower())
@pytest.mark.parametrize("address", ALL, ids=lambda address: f"{address.name}{address.path}")
def test_address_answers_those_who_may_ask_and_nobody_else(
    ask: Client, address: Address, role: AccessLevel
) -> None:
    rule = rule_of(address.name)
    for method in METHODS:
        response = ask.generic(method, address.path, REVIEW, content_type="application/json")
        seen = f"{method} {address.path} as {role.name}: {response.status_code}"
        assert response.status_code < 500, seen
        may = method in rule and role >= rule[method]
        # What an administrator may do with a table is its own matter.
        if not (may and address.name.startswith("admin:")):
            assert is_refused(address, response) != may, seen
        read(response)


@pytest.mark.parametrize("role", [ADMINISTRATOR], ids=["administrator"])
@pytest.mark.parametrize("address", ALL, ids=lambda address: f"{address.name}{address.path}")
def test_address_does_nothing_for_another_site(
    ask: Client, address: Address, role: AccessLevel
) -> None:
    ask.handler.enforce_csrf_checks = True
    for method in METHODS[1:]:
        form = "verdict=confirmed&delete=yes&post=yes&language=en"
        kind = "application/x-www-form-urlencoded"
        response = ask.generic(method, address.path, form, content_type=kind)
        assert response.status_code in {403, 405}, f"{method} {address.path}"


FOLDERS = ["/records/{}", "/pictures/{}.jpg", "/thumbnails/{}.jpg", "/api/v1/records/{}"]


def sees(client: Client, place: str, key: UUID) -> bool:
    """Whether ``client`` gets a record; who does not, is not told either whether it is there."""
    response, none = (read(client.get(place.format(one))) for one in (key, uuid4()))
    found = response.status_code == 200
    assert found or response.status_code == none.status_code
    assert none.status_code in {302, 401, 404}
    return found


@pytest.mark.parametrize("place", FOLDERS)
def test_upload_of_somebody_is_seen_by_them_and_reviewers_only(
    visitor: Client, viewer: Client, reviewer: Client, administrator: Client, place: str
) -> None:
    owner = User.objects.create_user("owner", password=PASSWORD)
    key = shown(making.upload(owner=owner)).key
    own = Client()
    own.force_login(owner)
    asked = (visitor, viewer, own, reviewer, administrator)
    assert [sees(client, place, key) for client in asked] == [False, False, True, True, True]


@pytest.mark.parametrize("place", FOLDERS)
def test_upload_of_a_visitor_is_seen_in_their_own_browser_and_by_reviewers_only(
    visitor: Client, viewer: Client, reviewer: Client, place: str
) -> None:
    key = shown(making.upload()).key
    session = visitor.session
    session["own_records"] = [str(key)]
    session.save()
    own = not place.startswith("/api/")  # Programs have accounts.
    asked = (visitor, Client(), viewer, reviewer)
    assert [sees(client, place, key) for client in asked] == [own, False, False, True]
