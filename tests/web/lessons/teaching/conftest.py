"""The folder of models is that of all tests of a process."""

from collections.abc import Iterator

import pytest

from tests.web.conftest import FOLDERS


@pytest.fixture(autouse=True)
def _no_models_left() -> Iterator[None]:
    yield
    for left in FOLDERS.models.glob("*.tflite"):
        left.unlink()
