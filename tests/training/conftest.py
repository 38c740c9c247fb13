"""A whole small run, done once: many tests look at what it left."""

from dataclasses import replace

import pytest

from tests.training.rehearsal import Rehearsal, prepare


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Pictures and first weights, and what a run is started with."""
    return prepare(tmp_path_factory.mktemp("rehearsal"))


@pytest.fixture(scope="session")
def finished(rehearsal: Rehearsal) -> Rehearsal:
    """The same, after the run."""
    done = rehearsal.do(rehearsal.run.name)
    assert done.returncode == 0, done.stderr.decode()
    return replace(rehearsal, said=done)
