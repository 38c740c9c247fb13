"""Reads settings in a child process, because pydantic would stay in the daemon for good."""

import pickle
import sys

from edge_classifier import child
from edge_classifier.config.settings import Settings
from edge_classifier.config.sources import SettingsReport, SettingsSources
from edge_classifier.errors import EdgeClassifierError, UnavailableError

# A Pi Zero takes a few seconds to import pydantic, and more while it is starting up.
TIME_LIMIT_S = 60.0


def examine_in_child(
    sources: SettingsSources, *, time_limit_s: float = TIME_LIMIT_S
) -> SettingsReport[Settings]:
    """``config.load.examine`` in a child. Raises what it raises.

    UnavailableError when the child does not answer, or dies: that is the machine's fault (no
    memory, a slow card), may be over in a moment, and says nothing about the settings.
    """
    done = child.run(__name__, given=pickle.dumps(sources), time_limit_s=time_limit_s)
    if done.problem:
        problem = f"cannot be read: the process for it {done.problem}"
        raise UnavailableError("settings", problem, "`edge-classify config check` may tell more.")
    answer: SettingsReport[Settings] | EdgeClassifierError = pickle.loads(done.output)  # noqa: S301 (our own)
    if isinstance(answer, EdgeClassifierError):
        raise answer
    return answer


def _main() -> None:
    """In the child."""
    from edge_classifier.config.load import examine  # Here, and never in the parent.

    sources: SettingsSources = pickle.load(sys.stdin.buffer)  # noqa: S301 (the parent's)
    answer: SettingsReport[Settings] | EdgeClassifierError
    with child.answer_stream() as answers:
        try:
            answer = examine(sources)
        except EdgeClassifierError as error:
            answer = error
        answers.write(pickle.dumps(answer))


if __name__ == "__main__":
    _main()
