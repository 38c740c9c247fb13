"""The newest message of each topic."""

from edge_classifier.mqtt.message_writer import MessageKind, RetainedTopics


def due(topics: RetainedTopics) -> list[tuple[str, bytes]]:
    return [(message.topic, message.payload) for message in topics.due()]


def test_retained_topics_gives_out_in_the_order_of_kinds() -> None:
    topics = RetainedTopics()
    for kind in reversed(MessageKind):
        topics.put(kind, kind.name, b"")
    assert [topic for topic, _ in due(topics)] == [
        "NODE", "DISCOVERY", "CAMERA", "INFO", "STATE", "SNAPSHOT", "STATS",
    ]  # fmt: skip


def test_retained_topics_keeps_only_the_newest_of_a_topic() -> None:
    topics = RetainedTopics()
    topics.put(MessageKind.STATE, "a", b"old")
    topics.put(MessageKind.STATE, "a", b"new")
    assert due(topics) == [("a", b"new")]


def test_retained_topics_has_one_message_a_topic_under_way_and_then_the_newest() -> None:
    topics = RetainedTopics()
    topics.put(MessageKind.STATE, "a", b"1")
    topics.sent("a")
    topics.put(MessageKind.STATE, "a", b"2")
    topics.put(MessageKind.STATE, "a", b"3")
    assert due(topics) == []
    assert not topics.is_settled({"a"})
    topics.confirmed("a", accepted=True)
    assert due(topics) == [("a", b"3")]
    topics.sent("a")
    topics.confirmed("a", accepted=True)
    assert due(topics) == []
    assert topics.is_settled({"a"})


def test_retained_topics_after_a_lost_connection_gives_out_all_that_is_retained() -> None:
    topics = RetainedTopics()
    for kind in (MessageKind.STATE, MessageKind.STATS):
        topics.put(kind, kind.name, b"1")
        topics.sent(kind.name)
    topics.lost()
    assert due(topics) == [("STATE", b"1")]


def test_retained_topics_renewed_waits_for_what_is_under_way() -> None:
    topics = RetainedTopics()
    topics.put(MessageKind.STATE, "a", b"1")
    topics.sent("a")
    topics.renew()
    assert due(topics) == []
    topics.confirmed("a", accepted=True)
    assert due(topics) == [("a", b"1")]


def test_retained_topics_clears_a_topic_once_and_as_surely_as_states_go() -> None:
    """A cleared snapshot of QoS 0 could get lost, and the broker would show it for ever."""
    topics = RetainedTopics()
    topics.put(MessageKind.SNAPSHOT, "a", b"")
    assert [message.qos for message in topics.due()] == [1]
    topics.sent("a")
    topics.lost()
    assert due(topics) == [("a", b"")]
    assert not topics.is_settled({"a"})
    topics.sent("a")
    topics.confirmed("a", accepted=True)
    assert topics.is_settled({"a"})
    topics.lost()
    topics.renew()
    assert due(topics) == []


def test_retained_topics_clears_a_topic_again_where_the_broker_has_refused_it() -> None:
    topics = RetainedTopics()
    topics.put(MessageKind.STATE, "a", b"")
    topics.sent("a")
    topics.confirmed("a", accepted=False)
    topics.lost()
    assert due(topics) == [("a", b"")]


def test_retained_topics_keeps_what_a_topic_says_again_while_it_is_being_cleared() -> None:
    topics = RetainedTopics()
    topics.put(MessageKind.STATE, "a", b"")
    topics.sent("a")
    topics.put(MessageKind.STATE, "a", b"back")
    topics.confirmed("a", accepted=True)
    assert due(topics) == [("a", b"back")]
