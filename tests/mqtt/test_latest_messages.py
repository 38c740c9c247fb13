"""The newest message of each topic."""

from edge_classifier.mqtt.latest_messages import LatestMessages, MessageKind


def due(latest: LatestMessages) -> list[tuple[str, bytes]]:
    return [(message.topic, message.payload) for message in latest.due()]


def test_latest_messages_gives_out_in_the_order_of_kinds() -> None:
    latest = LatestMessages()
    for kind in reversed(MessageKind):
        latest.put(kind, kind.name, b"")
    assert [topic for topic, _ in due(latest)] == [
        "NODE", "CAMERA", "DISCOVERY", "INFO", "STATE", "SNAPSHOT", "STATS", "FORMER",
    ]  # fmt: skip


def test_latest_messages_keeps_only_the_newest_of_a_topic() -> None:
    latest = LatestMessages()
    latest.put(MessageKind.STATE, "a", b"old")
    latest.put(MessageKind.STATE, "a", b"new")
    assert due(latest) == [("a", b"new")]


def test_latest_messages_has_one_message_a_topic_under_way_and_then_the_newest() -> None:
    latest = LatestMessages()
    latest.put(MessageKind.STATE, "a", b"1")
    latest.sent("a")
    latest.put(MessageKind.STATE, "a", b"2")
    latest.put(MessageKind.STATE, "a", b"3")
    assert due(latest) == []
    assert not latest.is_settled({"a"})
    latest.confirmed("a", accepted=True)
    assert due(latest) == [("a", b"3")]
    latest.sent("a")
    latest.confirmed("a", accepted=True)
    assert due(latest) == []
    assert latest.is_settled({"a"})


def test_latest_messages_after_a_lost_connection_gives_out_all_that_is_retained() -> None:
    latest = LatestMessages()
    for kind in (MessageKind.STATE, MessageKind.STATS):
        latest.put(kind, kind.name, b"1")
        latest.sent(kind.name)
    latest.lost()
    assert due(latest) == [("STATE", b"1")]


def test_latest_messages_renewed_waits_for_what_is_under_way() -> None:
    latest = LatestMessages()
    latest.put(MessageKind.STATE, "a", b"1")
    latest.sent("a")
    latest.renew()
    assert due(latest) == []
    latest.confirmed("a", accepted=True)
    assert due(latest) == [("a", b"1")]


def test_latest_messages_clears_a_topic_once_and_as_surely_as_states_go() -> None:
    """A cleared snapshot of QoS 0 could get lost, and the broker would show it for ever."""
    latest = LatestMessages()
    latest.put(MessageKind.SNAPSHOT, "a", b"")
    assert [message.qos for message in latest.due()] == [1]
    latest.sent("a")
    latest.lost()
    assert due(latest) == [("a", b"")]
    assert not latest.is_settled({"a"})
    latest.sent("a")
    latest.confirmed("a", accepted=True)
    assert latest.is_settled({"a"})
    latest.lost()
    latest.renew()
    assert due(latest) == []


def test_latest_messages_clears_a_topic_again_where_the_broker_has_refused_it() -> None:
    latest = LatestMessages()
    latest.put(MessageKind.STATE, "a", b"")
    latest.sent("a")
    latest.confirmed("a", accepted=False)
    latest.lost()
    assert due(latest) == [("a", b"")]


def test_latest_messages_keeps_what_a_topic_says_again_while_it_is_being_cleared() -> None:
    latest = LatestMessages()
    latest.put(MessageKind.STATE, "a", b"")
    latest.sent("a")
    latest.put(MessageKind.STATE, "a", b"back")
    latest.confirmed("a", accepted=True)
    assert due(latest) == [("a", b"back")]


def test_latest_messages_that_forgets_a_topic_takes_its_late_acknowledgement() -> None:
    latest = LatestMessages()
    latest.put(MessageKind.FORMER, "old", b"")
    latest.sent("old")
    latest.forget(["old", "never said"])
    latest.confirmed("old", accepted=True)
    latest.try_again("old")
    latest.lost()
    assert due(latest) == []
    assert latest.is_settled({"old"})
