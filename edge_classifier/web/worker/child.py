"""The child's side: reads tasks from standard input, one after the other, until it is closed.

Django has no place here: decoders and networks are what may fail, and they fail with little.
"""

import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from edge_classifier import child
from edge_classifier.errors import EdgeClassifierError, PictureError
from edge_classifier.web.worker.protocol import Message, receive, send
from edge_classifier.web.worker.results import Classified, classified_to, error_to, model_to
from edge_classifier.web.worker.tasks import ClassifyTask, DescribeTask, Task, from_message

# The daemon and the page go first.
_NICENESS = 10
# Bytes; nothing is written here but what libraries say on standard error.
_FILE_LIMIT = 16_000_000


def _main(memory_mb: int) -> None:
    with suppress(OSError):  # A sandbox may forbid it.
        os.nice(_NICENESS)
    # A bomb, or a fault in a decoder, must not take the machine's memory and disk.
    child.limit_memory(memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_LIMIT, _FILE_LIMIT))
    questions, answers = _question_stream(), child.answer_stream()
    tasks = TaskRunner()
    while True:
        try:
            question = receive(questions)
        except EOFError:  # The page has ended, however that came.
            return
        send(answers, _answer(tasks, question))


def _question_stream() -> BinaryIO:
    """Standard input by another number: no library may read what the page asks."""
    questions, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    return os.fdopen(questions, "rb")


def _answer(tasks: "TaskRunner", question: Message) -> Message:
    try:
        return tasks.run(from_message(question), question.parts)
    except EdgeClassifierError as error:
        return error_to(error)
    except MemoryError:
        return error_to(PictureError("the picture", "needs more memory than there is"))


class TaskRunner:
    """What can be asked; imported when it is, as thumbnails need neither numpy nor a runtime."""

    def __init__(self) -> None:
        self._classify: Callable[[ClassifyTask], Classified] | None = None

    def run(self, task: Task, parts: tuple[bytes, ...]) -> Message:
        """Do ``task``. Raises PictureError, ModelError, ContractError, MissingFileError."""
        if isinstance(task, ClassifyTask):
            return classified_to(self._classified(task))
        if isinstance(task, DescribeTask):
            from edge_classifier.web.worker.child_networks import describe

            return model_to(describe(Path(task.model)))
        from edge_classifier.web.worker.child_pictures import thumbnail_of

        return Message({}, (thumbnail_of(parts[0], task.pixel_limit),))

    def _classified(self, task: ClassifyTask) -> Classified:
        if self._classify is None:
            from edge_classifier.web.worker.child_networks import LoadedNetworks

            self._classify = LoadedNetworks().classify
        return self._classify(task)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
