"""What goes between page and child process."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.web.worker.messages import Message, receive, send


@given(
    header=st.dictionaries(st.text().filter(lambda key: key != "sizes"), st.integers()),
    parts=st.lists(st.binary()),
)
def test_message_that_is_sent_is_received(header: dict[str, int], parts: list[bytes]) -> None:
    stream = io.BytesIO()
    send(stream, Message(header, tuple(parts)))
    stream.seek(0)
    assert receive(stream) == Message(header, tuple(parts))


@given(st.data())
def test_message_that_ends_early_is_told(data: st.DataObject) -> None:
    stream = io.BytesIO()
    send(stream, Message({"a": 1}, (b"picture",)))
    whole = stream.getvalue()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(EOFError):
        receive(io.BytesIO(whole[:cut]))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"{}", id="without sizes"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"noise", id="no JSON"),
        pytest.param(b'{"sizes": [-1]}', id="negative"),
        pytest.param(b'{"sizes": ["a"]}', id="no number"),
        pytest.param(b'{"sizes": [200000000, 200000000]}', id="too large"),
    ],
)
def test_message_that_is_nonsense_is_refused(header: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        receive(io.BytesIO(len(header).to_bytes(4) + header))


def test_message_with_a_huge_header_is_refused_unread() -> None:
    with pytest.raises(ValueError, match="header"):
        receive(io.BytesIO(b"\xff\xff\xff\xff"))
