"""What a camera has shown, as steps."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.web.live.camera_page.steps_chart import LANE_PX, MOST_LANES, steps_chart
from edge_classifier.web.live.score_history import ScorePoint

NOW = 1_795_000_000.0


def test_label_holds_with_its_score_until_the_next_one_and_unknown_is_a_gap() -> None:
    points = [
        ScorePoint(NOW - 1000, "cat", 0.5),
        ScorePoint(NOW - 750, "unknown", 0.1),
        ScorePoint(NOW - 500, "cat", 1.0),
        ScorePoint(NOW - 250, "dog", 1.0),
    ]
    chart = steps_chart(points, NOW, UTC)
    assert chart
    cat, dog = chart.lanes
    assert (cat.label, cat.visits, cat.total_s) == ("cat", 2, 500)
    half, whole = LANE_PX / 2, float(LANE_PX)
    assert [tuple(step) for step in cat.steps] == [
        ("0.00%", "25.00%", f"{half:.1f}", f"{half:.1f}"),
        ("50.00%", "25.00%", "0.0", f"{whole:.1f}"),
    ]
    assert (dog.label, dog.steps[0].left, dog.steps[0].width) == ("dog", "75.00%", "25.00%")


def test_score_that_changes_while_the_label_stays_is_one_visit() -> None:
    points = [ScorePoint(NOW - at, "cat", at / 100) for at in (90, 60, 30)]
    chart = steps_chart(points, NOW, UTC)
    assert chart
    assert (chart.lanes[0].visits, len(chart.lanes[0].steps)) == (1, 3)


def test_labels_for_which_there_is_no_room_are_counted() -> None:
    points = [ScorePoint(NOW - 100 * at, str(at), 0.5) for at in range(9, 0, -1)]
    chart = steps_chart(points, NOW, UTC)
    assert chart
    assert (len(chart.lanes), chart.left_out) == (MOST_LANES, 9 - MOST_LANES)
    assert steps_chart([], NOW, UTC) is None


@given(st.floats(1, 86_400))
def test_times_below_the_chart_are_few_and_whole(span_s: float) -> None:
    chart = steps_chart([ScorePoint(NOW - span_s, "cat", 0.5)], NOW, UTC)
    assert chart
    assert len(chart.times) <= 7
    for left, at in chart.times:
        assert 4 < float(left.removesuffix("%")) < 96
        assert at.second == 0
        assert chart.start < at < datetime.fromtimestamp(NOW, UTC)
