"""What several tests need: reference models, a home of their own, the command as a process."""

import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import warm

SHARED_VARIABLE = "EDGE_CLASSIFIER_SHARED"
REPOSITORY = Path(__file__).parent.parent
SKIPPED = "edge-classifier/skipped"

# Folders of whole systems and whole runs.
LONG = ("tests/system/", "tests/training/")
# Folders of what is only computed.
SHORT = ("tests/config/", "tests/core/", "tests/decision/", "tests/evaluation/")
# Their fixture ``pi`` takes a minute to install and boot.
ON_ONE_MACHINE = [
    f"tests/system/install/test_{name}.py"
    for name in ("install", "service", "uninstall", "web_service")
]

Completed = subprocess.CompletedProcess[bytes]
Cli = Callable[..., Completed]


# How long an example takes on a machine that does something else, too, says nothing of the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# OpenCV asks once a process, and a test that writes a video may come before the first camera.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# Programs are started by the hundred: the first compiles what they import, not each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# What runs in the background ignores Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips", action="store_true", help="fail where a test was skipped: all parts are here"
    )
    parser.addoption(
        "--last-skipped",
        action="store_true",
        help="run only what the last run skipped, with other extras or parts than it had",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Where several processes share the work, what takes long comes first: they end together.
    if hasattr(config, "workerinput"):
        items.sort(key=lambda one: one.nodeid.startswith(SHORT) - one.nodeid.startswith(LONG))
    if not config.getoption("--last-skipped"):
        return
    assert config.cache, "--last-skipped needs pytest's cache"
    # A file or folder that was skipped before its tests were known stands there by its own name.
    skipped = set(config.cache.get(SKIPPED, []))
    chosen = {item for item in items if any(node.nodeid in skipped for node in item.listchain())}
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = [item for item in items if item in chosen]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logged goes from process to process as UTF-8, and may hold half characters."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file that is skipped as a whole says which it is.

    Of several with the same reason xdist reports one only, and the rest would not be known to
    ``--last-skipped``.
    """
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = path, line, f"{collector.nodeid}: {reason.removeprefix('Skipped: ')}"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Only the process that reports has one, where several run the tests.
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    cache = getattr(session.config, "cache", None)  # It can be turned off.
    if reporter and cache and not session.config.option.collectonly:
        cache.set(SKIPPED, [report.nodeid for report in skipped])
    if session.config.getoption("--no-skips") and skipped and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many share the work; none where few tests are meant or output is to be seen."""
    option = config.option
    is_of_files = any(".py" in argument for argument in config.args)
    if is_of_files or option.keyword or option.capture == "no" or option.collectonly:
        return 0
    # Most tests wait for programs that they have started: one more than there are cores.
    return min(4, len(os.sched_getaffinity(0)) + 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each process takes whole files, and those that share a booted machine together."""
    from xdist.scheduler import LoadScopeScheduling  # Only those who ask for it must have it.

    def unit_of(nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "the machine" if path in ON_ONE_MACHINE else path

    config.option.loadscopereorder = False
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = unit_of
    return scheduler


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference models and pictures, which are not part of the project."""
    if SHARED_VARIABLE not in os.environ:
        pytest.skip(f"${SHARED_VARIABLE} is not set: reference models and pictures are not here")
    return Path(os.environ[SHARED_VARIABLE])


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def _home(_homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither see nor touch the user's pulled models and caches."""
    # pytest's mktemp counts those that are there: with thousands of tests that takes long.
    home = Path(tempfile.mkdtemp(prefix="", dir=_homes))
    for variable in ("EDGE_CLASSIFIER_CATALOGUE", "EDGE_CLASSIFIER_MODELS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """What a test sets for its process, by a reload for instance, does not hold for the next."""
    root = logging.getLogger()
    before = root.level
    yield
    root.setLevel(before)


@pytest.fixture
def cli() -> Cli:
    """Runs the command line in a process of its own, as a user would."""

    def run(*arguments: str | Path, stdin: bytes = b"", timeout: float = 120) -> Completed:
        return warm.run([*map(str, arguments)], stdin=stdin, timeout=timeout)

    return run
