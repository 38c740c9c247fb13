"""Requests over MQTT: what is taken, what is refused, what is answered."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.daemon.command_requests import (
    COMMANDS,
    Request,
    RequestError,
    parse_request,
    response_to,
)

CAMERAS = ("door", "garden")


def parse(command: str, **body: object) -> Request:
    return parse_request(command, json.dumps(body).encode(), CAMERAS)


@pytest.mark.parametrize(
    ("command", "body", "expected"),
    [
        ("enable", {"enabled": False}, {"enabled": False}),
        ("enable", {"enabled": True, "camera": "door"}, {"enabled": True}),
        ("threshold", {"threshold": 0.5}, {"threshold": 0.5}),
        ("threshold", {"threshold": 1}, {"threshold": 1.0}),
        ("threshold", {"threshold": None}, {"threshold": None}),
        ("snapshot", {}, {}),
        ("reload", {}, {}),
        ("model", {"model": "birds"}, {"model": "birds"}),
        ("model", {"model": ""}, {"model": ""}),
        ("clear", {"what": "store"}, {"what": "store"}),
    ],
)
def test_request_that_is_right_is_taken(
    command: str, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    request = parse(command, **body)
    assert request.command == command
    assert {key: getattr(request, key) for key in expected} == expected


def test_request_without_a_camera_means_all() -> None:
    assert parse("snapshot").cameras == CAMERAS


def test_request_with_a_camera_means_that_one() -> None:
    assert parse("snapshot", camera="garden").cameras == ("garden",)


@pytest.mark.parametrize("payload", [b"", b"  ", b"{}"])
def test_request_without_values_may_be_empty(payload: bytes) -> None:
    assert parse_request("snapshot", payload, CAMERAS).cameras == CAMERAS


@pytest.mark.parametrize(
    ("command", "payload", "problem"),
    [
        ("reboot", b"{}", "no such command: 'reboot'; there are enable"),
        ("enable", b"on", "not JSON"),
        ("enable", b"\xff\xfe", "not JSON"),
        ("enable", b"[" * 60_000, "not JSON"),
        ("enable", b"[" * 70_000, "is longer than 65536 bytes"),
        ("enable", b"[]", "not a JSON object"),
        ("enable", b"{}", "enabled must be true or false"),
        ("enable", b'{"enabled": 1}', "enabled must be true or false"),
        ("enable", b'{"enabled": true, "camera": "attic"}', "no camera 'attic'; there are door"),
        ("enable", b'{"enabled": true, "camera": ["door"]}', "no camera"),
        ("enable", b'{"enabled": true, "for": 3}', "enable takes no for; it takes camera"),
        ("threshold", b"{}", "from 0 to 1"),
        ("threshold", b'{"threshold": 1.1}', "from 0 to 1"),
        ("threshold", b'{"threshold": true}', "from 0 to 1"),
        ("threshold", b'{"threshold": NaN}', "not JSON"),
        ("threshold", b'{"threshold": "0.5"}', "from 0 to 1"),
        # JSON has neither, and an answer with them could not be written.
        ("snapshot", b'{"transaction": NaN}', "not JSON"),
        ("snapshot", b'{"transaction": [-Infinity]}', "not JSON"),
        ("snapshot", b'{"transaction": {"id": 1e999}}', "not JSON"),
        ("model", b"{}", "model must be a text"),
        ("model", b'{"model": 3}', "model must be a text"),
        ("model", b'{"model": "x", "reason": 3}', "reason must be a text of at most 500"),
        ("clear", b"{}", "what must be one of"),
        ("clear", b'{"what": ["label"]}', "what must be one of"),
        ("reload", b'{"camera": "door"}', "reload takes no camera"),
    ],
)
def test_request_that_is_wrong_is_refused_in_words(
    command: str, payload: bytes, problem: str
) -> None:
    with pytest.raises(RequestError, match=problem):
        parse_request(command, payload, CAMERAS)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("enable", "enabled must be true or false"),
        ("format", f"no such command: 'format'; there are {', '.join(COMMANDS)}"),
    ],
)
def test_request_that_is_refused_keeps_its_transaction(command: str, problem: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(command, enabled="yes", transaction=23)
    found = response_to(refused.value, {})
    assert found == {"status": "error", "data": {}, "error": problem, "transaction": 23}


def test_request_that_was_done_is_answered_with_its_transaction_and_data() -> None:
    request = parse("snapshot", transaction={"id": "a"})
    assert response_to(request, {"cameras": ["door"]}) == {
        "status": "ok",
        "data": {"cameras": ["door"]},
        "error": None,
        "transaction": {"id": "a"},
    }


@given(st.sampled_from(sorted(COMMANDS)), st.binary(max_size=200))
def test_request_of_any_bytes_is_taken_or_refused(command: str, payload: bytes) -> None:
    with suppress(RequestError):
        assert parse_request(command, payload, CAMERAS).command == command


def test_what_a_request_quotes_is_one_bounded_line() -> None:
    for payload in (b'{"a\\nforged": 1}', json.dumps({"k" * 60_000: 1}).encode()):
        with pytest.raises(RequestError) as caught:
            parse_request("enable", payload, ("door",))
        assert len(str(caught.value)) < 1000
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(RequestError) as caught:
        parse_request("c" * 60_000, b"{}", ("door",))
    assert len(str(caught.value)) < 1000
