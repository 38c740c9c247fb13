"""Tests of training: skipped without torch; a whole small run, done once, for many of them."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.training.small_run import SmallRun, prepare


class _WithoutTorch(pytest.Module):
    """A file of tests that cannot be imported here, because torch is not installed."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        pytest.skip("the extra [train] is not installed: EXTRAS=dev,train scripts/test")


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Let pytest import the files of this folder only where torch is installed."""
    if find_spec("torch"):
        return None
    return _WithoutTorch.from_parent(parent, path=module_path)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """Pictures and first weights, and what a run is started with."""
    return prepare(tmp_path_factory.mktemp("small_run"))


@pytest.fixture(scope="session")
def finished(small_run: SmallRun) -> SmallRun:
    """The same, after the run."""
    done = small_run.do(small_run.run.name)
    assert done.returncode == 0, done.stderr.decode()
    return replace(small_run, said=done)
