"""What waits to be written: bounded, in order, and never lost inside."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.mqtt.connection.broker_connection import ReceivedMessage
from edge_classifier.web.recorder.queue import DeliveryQueue
from tests.waiting import eventually


def message(size: int = 1) -> ReceivedMessage:
    return ReceivedMessage("topic", bytes(size), lambda: None)


def everything(queue: DeliveryQueue) -> list[ReceivedMessage]:
    return queue.take(10_000, wait_s=0, linger_s=0)


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 10), st.integers(1, 50))
def test_queue_holds_no_more_than_its_bounds_or_one_message(
    sizes: list[int], most: int, most_bytes: int
) -> None:
    queue = DeliveryQueue(most, most_bytes)
    sent = [message(size) for size in sizes]
    taken_in = [one for one in sent if queue.put(one, timeout_s=0)]
    assert len(queue) == len(taken_in) <= most
    assert sum(len(one.payload) for one in taken_in) <= most_bytes or len(taken_in) == 1
    assert everything(queue) == taken_in
    assert taken_in[:1] == sent[:1]


def test_queue_gives_room_back_when_messages_are_taken() -> None:
    queue = DeliveryQueue(max_bytes=10)
    assert queue.put(message(10))
    assert not queue.put(message(1), timeout_s=0)
    assert len(everything(queue)) == 1
    assert queue.put(message(10), timeout_s=0)


def test_queue_lets_who_brings_a_message_wait_for_room() -> None:
    queue = DeliveryQueue(max_messages=1)
    assert queue.put(message())
    outcomes: list[bool] = []
    thread = threading.Thread(target=lambda: outcomes.append(queue.put(message(), 20)))
    thread.start()
    assert len(everything(queue)) == 1
    thread.join(20)
    assert outcomes == [True]


def test_queue_waits_for_more_to_be_written_together_but_not_beyond_a_batch() -> None:
    queue = DeliveryQueue()
    taken: list[list[ReceivedMessage]] = []
    take = threading.Thread(target=lambda: taken.append(queue.take(3, wait_s=20, linger_s=20)))
    take.start()
    for _ in range(4):
        queue.put(message())
    take.join(10)
    assert [len(batch) for batch in taken] == [3]
    assert len(queue) == 1


def test_queue_that_is_closed_takes_nothing_in_and_gives_out_what_is_there() -> None:
    queue = DeliveryQueue(max_messages=1)
    queue.put(message())
    refused: list[bool] = []
    waiting = threading.Thread(target=lambda: refused.append(queue.put(message(), 20)))
    waiting.start()
    queue.close()
    waiting.join(10)
    assert refused == [False]
    assert len(queue.take(10, wait_s=20, linger_s=20)) == 1
    assert queue.take(10, wait_s=20, linger_s=20) == []


def test_queue_without_messages_is_left_in_time() -> None:
    done = threading.Event()

    def take() -> None:
        assert DeliveryQueue().take(10, wait_s=0.01, linger_s=60) == []
        done.set()

    threading.Thread(target=take).start()
    eventually(done.is_set)
