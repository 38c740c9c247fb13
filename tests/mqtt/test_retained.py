"""The newest message of each topic."""

from edge_classifier.mqtt.retained import MessageKind, RetainedTopics


def due(board: RetainedTopics) -> list[tuple[str, bytes]]:
    return [(post.topic, post.payload) for post in board.due()]


def test_board_gives_out_in_the_order_of_kinds() -> None:
    board = RetainedTopics()
    for kind in reversed(MessageKind):
        board.put(kind, kind.name, b"")
    assert [topic for topic, _ in due(board)] == [
        "NODE", "DISCOVERY", "CAMERA", "INFO", "STATE", "SNAPSHOT", "STATS",
    ]  # fmt: skip


def test_board_keeps_only_the_newest_of_a_topic() -> None:
    board = RetainedTopics()
    board.put(MessageKind.STATE, "a", b"old")
    board.put(MessageKind.STATE, "a", b"new")
    assert due(board) == [("a", b"new")]


def test_board_has_one_message_a_topic_under_way_and_then_the_newest() -> None:
    board = RetainedTopics()
    board.put(MessageKind.STATE, "a", b"1")
    board.sent("a")
    board.put(MessageKind.STATE, "a", b"2")
    board.put(MessageKind.STATE, "a", b"3")
    assert due(board) == []
    assert not board.is_settled({"a"})
    board.confirmed("a", accepted=True)
    assert due(board) == [("a", b"3")]
    board.sent("a")
    board.confirmed("a", accepted=True)
    assert due(board) == []
    assert board.is_settled({"a"})


def test_board_after_a_lost_connection_gives_out_all_that_is_retained() -> None:
    board = RetainedTopics()
    for kind in (MessageKind.STATE, MessageKind.STATS):
        board.put(kind, kind.name, b"1")
        board.sent(kind.name)
    board.lost()
    assert due(board) == [("STATE", b"1")]


def test_board_renewed_waits_for_what_is_under_way() -> None:
    board = RetainedTopics()
    board.put(MessageKind.STATE, "a", b"1")
    board.sent("a")
    board.renew()
    assert due(board) == []
    board.confirmed("a", accepted=True)
    assert due(board) == [("a", b"1")]


def test_board_clears_a_topic_once_and_as_surely_as_states_go() -> None:
    """A cleared snapshot of QoS 0 could get lost, and the broker would show it for ever."""
    board = RetainedTopics()
    board.put(MessageKind.SNAPSHOT, "a", b"")
    assert [post.qos for post in board.due()] == [1]
    board.sent("a")
    board.lost()
    assert due(board) == [("a", b"")]
    assert not board.is_settled({"a"})
    board.sent("a")
    board.confirmed("a", accepted=True)
    assert board.is_settled({"a"})
    board.lost()
    board.renew()
    assert due(board) == []


def test_board_clears_a_topic_again_where_the_broker_has_refused_it() -> None:
    board = RetainedTopics()
    board.put(MessageKind.STATE, "a", b"")
    board.sent("a")
    board.confirmed("a", accepted=False)
    board.lost()
    assert due(board) == [("a", b"")]


def test_board_keeps_what_a_topic_says_again_while_it_is_being_cleared() -> None:
    board = RetainedTopics()
    board.put(MessageKind.STATE, "a", b"")
    board.sent("a")
    board.put(MessageKind.STATE, "a", b"back")
    board.confirmed("a", accepted=True)
    assert due(board) == [("a", b"back")]
