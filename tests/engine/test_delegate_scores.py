"""A model is tried under a real delegate, and the processor has to say the same."""

from pathlib import Path

import pytest

from edge_classifier.errors import ModelError
from edge_classifier.picture_trial import try_on_pictures
from tests.engine.delegate_libraries import Library


def test_model_that_a_delegate_runs_rightly_passes(library: Library, model: Path) -> None:
    try_on_pictures(model, str(library("working")))


def test_model_that_a_delegate_runs_wrongly_is_refused_and_the_processor_is_named(
    library: Library, model: Path
) -> None:
    with pytest.raises(ModelError, match="scores are not the processor's: up to") as caught:
        try_on_pictures(model, str(library("lying")))
    assert caught.value.remedy == "Set model.delegate to cpu."


def test_delegate_that_crashes_in_the_trial_costs_the_child_alone(
    library: Library, model: Path
) -> None:
    with pytest.raises(ModelError, match="crashed"):
        try_on_pictures(model, str(library("crashing")))
