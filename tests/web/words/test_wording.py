"""What errors and daemons say, as sentences of a page."""

import pytest

from edge_classifier.errors import UsageError
from edge_classifier.web.wording import explained, quoted, sentences


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("no such model", "Upload it again"), "No such model. Upload it again."),
        (("no such model.", "", "Is it there?"), "No such model. Is it there?"),
        (("this\nand  that", "more"), "This and that. More."),
        (("models.source can name it",), "models.source can name it."),
        (("garden-2 is in use",), "garden-2 is in use."),
        (("没有这个模型", "请重新上传"), "没有这个模型。请重新上传。"),
        (("没有这个模型。", "请重新上传。"), "没有这个模型。请重新上传。"),
        (("red 没有图片",), "red 没有图片。"),
        ((), ""),
    ],
)
def test_parts_become_sentences_with_full_stops_between_them(
    parts: tuple[str, ...], text: str
) -> None:
    assert sentences(*parts) == text


def test_error_is_told_without_its_subject_and_with_its_remedy() -> None:
    error = UsageError("/var/lib/x", "no such model", "Upload it again.")
    assert explained(error) == "No such model. Upload it again."


def test_answer_of_several_lines_is_quoted_without_their_breaks() -> None:
    answer = "decision.groups: no label 'a'\ndecision.labels: no label 'b'\x1b"
    assert quoted(answer) == (r"decision.groups: no label 'a'. decision.labels: no label 'b'\x1b.")
