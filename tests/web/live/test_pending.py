"""Requests that wait for their responses."""

import json

from edge_classifier.web.live.pending import PendingRequests


def test_request_takes_its_first_response_and_keeps_no_others() -> None:
    """Whoever may publish below the base topic can answer as often as they like."""
    asks = PendingRequests()
    with asks.opened("pi", "snapshot") as ask:
        for number in range(1_000):
            body = {"transaction": ask.transaction, "status": "ok", "data": {"number": number}}
            asks.take_response("pi", "snapshot", json.dumps(body).encode())
        asks.give_up()
        assert ask.answer.qsize() == 1
        found = ask.answer.get_nowait()
        assert found
        assert found["data"] == {"number": 0}
