"""The child's side: reads tasks from standard input, one after the other, until it is closed.

Without Django, as decoders and networks may crash, and should take little with them.
"""

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edge_classifier import child
from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import (
    EdgeClassifierError,
    ModelError,
    PictureError,
    UnavailableError,
)
from edge_classifier.web.worker.messages import (
    ClassifyTask,
    DescribeTask,
    EncodeTask,
    Message,
    RemakeTask,
    ScoreTask,
    Task,
    classified_to_message,
    error_to_message,
    model_to_message,
    receive,
    remade_to_message,
    scores_to_message,
    send,
    task_from_message,
)

if TYPE_CHECKING:
    from edge_classifier.web.worker.child_codes import PictureCoder
    from edge_classifier.web.worker.child_networks import LoadedNetworks

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
    # Both pipes get other numbers: no library may read what the page asks, or print into an answer.
    questions, answers = os.fdopen(os.dup(0), "rb"), child.answer_stream()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    runner = TaskRunner()
    while True:
        try:
            question = receive(questions)
        except EOFError:  # The page has ended, however that came.
            return
        send(answers, runner.answer(question))


class TaskRunner:
    """Does what is asked.

    Code is imported when it is needed: a thumbnail takes neither numpy nor a runtime.
    """

    def __init__(self) -> None:
        self._coder: PictureCoder | None = None
        self._networks: LoadedNetworks | None = None

    def answer(self, question: Message) -> Message:
        """The result of a task, or the error that it ended with."""
        try:
            return self._run(task_from_message(question), question.parts)
        except EdgeClassifierError as error:
            return error_to_message(error)
        except MemoryError:
            problem = Sentence("needs more memory than there is")
            return error_to_message(PictureError("the picture", problem))

    def _run(self, task: Task, parts: tuple[bytes, ...]) -> Message:
        if isinstance(task, ClassifyTask):
            return classified_to_message(self._loaded().classify(task))
        if isinstance(task, ScoreTask):
            return scores_to_message(self._loaded().score(parts[0], task))
        if isinstance(task, DescribeTask):
            from edge_classifier.web.worker.child_networks import describe

            return model_to_message(describe(Path(task.model)))
        if isinstance(task, EncodeTask):
            # Raises ModelError where it can never be loaded: the page asks for no more then.
            if self._coder is None:
                try:
                    from edge_classifier.web.worker.child_codes import PictureCoder

                    self._coder = PictureCoder(task.base)
                except UnavailableError as error:
                    raise ModelError(error.subject, error.problem, error.remedy) from error
            return Message({}, (self._coder.code(parts[0], task),))
        if isinstance(task, RemakeTask):
            from edge_classifier.web.worker.child_remake import remake

            return remade_to_message(remake(task, parts))
        from edge_classifier.web.worker.child_pictures import thumbnail_of

        return Message({}, (thumbnail_of(parts[0], task.pixel_limit),))

    def _loaded(self) -> "LoadedNetworks":
        """Both kinds of questions go to the one network that there is memory for."""
        from edge_classifier.web.worker.child_networks import LoadedNetworks

        self._networks = self._networks or LoadedNetworks()
        return self._networks


if __name__ == "__main__":
    _main(int(sys.argv[1]))
