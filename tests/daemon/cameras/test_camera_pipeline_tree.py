"""One camera over a tree of labels: two colours are warm, and blue is not."""

from dataclasses import replace

import numpy as np
import pytest

from edge_classifier import samples
from edge_classifier.classifier import AnswerOptions
from edge_classifier.config.settings import CameraSettings, ModelSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.labels.taxonomy import Taxonomy, TaxonomyNode
from edge_classifier.daemon.models.active_model import ActiveModel, load_active_model
from edge_classifier.decision.name_lines import UnknownLabelsError
from edge_classifier.vision.pictures import load_picture
from tests.daemon.parts import AT_ONCE, CAMERA, PipelineBench, colour_model

WARM = Taxonomy((TaxonomyNode("warm", names={"zh": "暖色"}),), (0, 0, None))


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return with_tree(colour_model(tmp_path_factory.mktemp("model") / "rgb.tflite"), WARM)


def with_tree(model: ActiveModel, taxonomy: Taxonomy) -> ActiveModel:
    resolved = model.loaded.resolved
    contract = replace(resolved.contract, taxonomy=taxonomy)
    loaded = replace(model.loaded, resolved=replace(resolved, contract=contract))
    return ActiveModel(loaded, loaded.classifier(AnswerOptions()))


def see_red_and_green(bench: PipelineBench) -> None:
    pixels = np.full((24, 32, 3), (255, 255, 0), np.uint8)
    bench.clock.add(1.0)
    bench.capture.show(Frame(pixels, ColourOrder.RGB), bench.clock())
    bench.pipeline.process_frame()


def camera(**decision: object) -> CameraSettings:
    return replace(CAMERA, decision=replace(AT_ONCE, **decision))  # type: ignore[arg-type]


def test_pipeline_event_and_state_say_the_node_that_is_sure_and_its_path(
    warm: ActiveModel,
) -> None:
    bench = PipelineBench(warm)
    see_red_and_green(bench)
    assert [(one.after, one.path) for one in bench.publisher.changes] == [("warm", ("warm",))]
    bench.see("blue")
    bench.see("red")
    assert [one.path for one in bench.publisher.changes] == [("warm",), ("blue",), ("warm", "red")]
    state = bench.pipeline.state()
    assert (state.label, state.path) == ("red", ("warm", "red"))
    assert state.top[0].label == "red"


def test_pipeline_a_change_of_level_is_told_by_the_state_alone_and_at_once(
    warm: ActiveModel,
) -> None:
    bench = PipelineBench(warm)
    see_red_and_green(bench)
    published = len(bench.publisher.states["door"])
    result = bench.see("red")
    assert result.change is None
    (state,) = bench.publisher.states["door"][published:]
    assert (state.label, state.path, state.seq) == ("red", ("warm", "red"), 1)
    assert state.since == result.captured.at.utc
    bench.see("blue")
    assert [(one.before, one.after, one.seq) for one in bench.publisher.changes] == [
        ("unknown", "warm", 1),
        ("warm", "blue", 3),
    ]


def test_pipeline_a_change_of_level_is_an_event_where_the_settings_say_so(
    warm: ActiveModel,
) -> None:
    bench = PipelineBench(warm, camera(specific=True))
    see_red_and_green(bench)
    bench.see("red")
    assert [(one.before, one.after) for one in bench.publisher.changes] == [
        ("unknown", "warm"),
        ("warm", "red"),
    ]


def test_pipeline_a_restart_knows_what_the_last_event_told(warm: ActiveModel) -> None:
    bench = PipelineBench(warm)
    see_red_and_green(bench)
    bench.see("red")
    again = PipelineBench(warm, before=bench.pipeline.state())
    assert again.pipeline.state().path == ("warm", "red")
    again.see("red")
    assert again.publisher.changes == []
    again.see("blue")
    # The second is the end of what was warm.
    assert [(one.before, one.seq) for one in again.publisher.changes] == [("warm", 3)]


def test_pipeline_only_says_what_it_may(warm: ActiveModel) -> None:
    bench = PipelineBench(warm, camera(only=("warm",)))
    for colour in ("red", "blue", "green"):
        bench.see(colour)
    assert [(one.before, one.after) for one in bench.publisher.changes] == [
        ("unknown", "warm"),
        ("warm", "unknown"),
        ("unknown", "warm"),
    ]


def test_pipeline_another_tree_of_the_same_labels_takes_over(warm: ActiveModel) -> None:
    bench = PipelineBench(warm, camera(only=("warm",)))
    cold = with_tree(warm, replace(WARM, nodes=(TaxonomyNode("cold"),)))
    with pytest.raises(UnknownLabelsError, match="warm"):
        bench.configure(model=cold)
    bench.configure(camera(only=("cold",)), cold)
    bench.see("red")
    assert bench.pipeline.state().label == "cold"


def test_pipeline_with_the_embedded_model_and_default_settings_says_that_a_cat_is_a_cat() -> None:
    """Tabby, tiger cat or Egyptian cat: none of them is sure."""
    bench = PipelineBench(load_active_model(ModelSettings()), CameraSettings(source="by hand"))
    frame = load_picture(str(samples.CAT)).frame
    for _ in range(20):
        bench.clock.add(0.2)
        bench.capture.show(frame, bench.clock())
        bench.pipeline.process_frame()
    path = ("animal", "mammal", "feline", "cat")
    assert [event.path for event in bench.publisher.events] == [path]
    assert bench.pipeline.state().path == path


def test_names_of_a_model_are_those_of_labels_and_nodes(warm: ActiveModel) -> None:
    assert warm.names("zh") == {
        "warm": "暖色", "red": "red", "green": "green", "blue": "blue", "unknown": "未知"
    }  # fmt: skip
