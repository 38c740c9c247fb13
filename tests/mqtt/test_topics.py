"""Topics, as docs/mqtt.md has them."""

import pytest

from edge_classifier.mqtt.topics import Topics

TOPICS = Topics("home/cameras", "porch", "ha")


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        (TOPICS.availability, "home/cameras/porch/availability"),
        (TOPICS.stats, "home/cameras/porch/stats"),
        (TOPICS.info, "home/cameras/porch/info"),
        (TOPICS.requests, "home/cameras/porch/request/+"),
        (TOPICS.request("enable"), "home/cameras/porch/request/enable"),
        (TOPICS.response("enable"), "home/cameras/porch/response/enable"),
        (TOPICS.camera_availability("front"), "home/cameras/porch/front/availability"),
        (TOPICS.state("front"), "home/cameras/porch/front/state"),
        (TOPICS.event("front"), "home/cameras/porch/front/event"),
        (TOPICS.snapshot("front"), "home/cameras/porch/front/snapshot"),
        (TOPICS.discovery, "ha/device/edge-classifier-porch/config"),
        (TOPICS.home_assistant, "ha/status"),
    ],
)
def test_topics_are_below_base_and_node_or_below_the_prefix(topic: str, expected: str) -> None:
    assert topic == expected


@pytest.mark.parametrize(
    ("topic", "command"),
    [
        ("home/cameras/porch/request/enable", "enable"),
        ("home/cameras/porch/request/", None),
        ("home/cameras/porch/request/a/b", None),
        ("home/cameras/porch/response/enable", None),
        ("home/cameras/other/request/enable", None),
        ("ha/status", None),
    ],
)
def test_topics_find_the_command_of_a_request_and_of_nothing_else(
    topic: str, command: str | None
) -> None:
    assert TOPICS.command_of(topic) == command
