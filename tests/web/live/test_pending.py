"""Requests that wait for their responses."""

import json

from edge_classifier.web.live.pending import PendingRequests


def test_request_takes_its_first_response_and_keeps_no_others() -> None:
    """Whoever may publish below the base topic can answer as often as they like."""
    requests = PendingRequests()
    with requests.opened("pi", "snapshot") as request:
        for number in range(1_000):
            body = {"transaction": request.transaction, "status": "ok", "data": {"number": number}}
            requests.take_response("pi", "snapshot", json.dumps(body).encode())
        requests.give_up()
        assert request.answer.qsize() == 1
        found = request.answer.get_nowait()
        assert found
        assert found["data"] == {"number": 0}
