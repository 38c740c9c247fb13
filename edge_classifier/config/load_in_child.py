"""Reads settings in a child process, because pydantic would stay in the daemon for good."""

import os
import pickle
import subprocess
import sys

from edge_classifier.config.locations import SettingsSources
from edge_classifier.config.problems import SettingsReport
from edge_classifier.errors import EdgeClassifierError, UnavailableError

# A Pi Zero takes a few seconds to import pydantic, and more while it is starting up.
TIME_LIMIT_S = 60.0


def examine_apart(
    sources: SettingsSources, *, time_limit_s: float = TIME_LIMIT_S
) -> SettingsReport:
    """``config.load.examine`` in a child. Raises what it raises.

    UnavailableError when the child does not answer, or dies: that is the machine's fault (no
    memory, a slow card), may be over in a moment, and says nothing about the settings.
    """
    # The child must find this package however the parent found it.
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__],
            input=pickle.dumps(sources),
            capture_output=True,
            env=environment,
            timeout=time_limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failure(f"were not read within {time_limit_s:g} s") from None
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
        raise _failure(f"cannot be read (exit code {done.returncode}: {last[0][:200]})")
    answer: SettingsReport | EdgeClassifierError = pickle.loads(done.stdout)  # noqa: S301 (our own)
    if isinstance(answer, EdgeClassifierError):
        raise answer
    return answer


def _failure(problem: str) -> UnavailableError:
    return UnavailableError("settings", problem, "`edge-classify config check` may tell more.")


def _answer(sources: SettingsSources) -> SettingsReport | EdgeClassifierError:
    """In the child."""
    from edge_classifier.config.load import examine  # Here, and never in the parent.

    try:
        return examine(sources)
    except EdgeClassifierError as error:
        return error


def _main() -> None:
    sources: SettingsSources = pickle.load(sys.stdin.buffer)  # noqa: S301 (the parent's)
    sys.stdout.buffer.write(pickle.dumps(_answer(sources)))


if __name__ == "__main__":
    _main()
