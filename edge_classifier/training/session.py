"""A run from beginning to end, by one process or by several that torchrun has started."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from torch import distributed

from edge_classifier.errors import EdgeClassifierError
from edge_classifier.evaluation.report import Written, write_report
from edge_classifier.progress import show_progress
from edge_classifier.training import run_folder as run
from edge_classifier.training.curve import learning_curve
from edge_classifier.training.deliver import deliver, judge
from edge_classifier.training.devices import Team, choose_hardware, join_team
from edge_classifier.training.material import Material, find, gather
from edge_classifier.training.plan import Place
from edge_classifier.training.run_report import summarize
from edge_classifier.training.settings import TrainingSettings
from edge_classifier.training.stages import Job, Tell, Trained, train

Result = TypeVar("Result")


def run_all(
    settings: TrainingSettings, folder: Path, *, resume: bool, export: bool = True, tell: Tell
) -> Written | None:
    """Check the pictures, train, and with ``export`` write and measure the model file.

    What ``folder`` holds of the same run already is read and not done again, if it is to be
    resumed. None without an export, and in the processes that do not write.
    """
    team = join_team(choose_hardware(settings.machine.device, "full").device)
    if team.rank:
        tell = _say_nothing
    material = _once(team, lambda: _begin(settings, folder, resume=resume, tell=tell))
    job = Job(settings, material, _place(settings, folder, resume=resume), tell)
    trained = train(job)
    return _deliver(job, trained, team, folder) if export else None


def _begin(settings: TrainingSettings, folder: Path, *, resume: bool, tell: Tell) -> Material:
    """The pictures, and the folder that says what is run on them."""
    found = find(settings.data)
    with show_progress("checking pictures", len(found.paths)) as progress:
        material = gather(found, settings, lambda _: progress.advance(1))
    run.begin(folder, settings, material.fingerprint, resume=resume)
    for line in material.findings.lines():
        tell(line)
    tell(f"{len(material.learn.samples)} pictures to learn from, {len(material.held.samples)} held")
    return material


def _place(settings: TrainingSettings, folder: Path, *, resume: bool) -> Place:
    machine = settings.machine
    return Place(
        folder=folder,
        device=machine.device,
        precision=machine.precision,
        workers=machine.workers,
        seed=settings.seed,
        tensorboard=machine.tensorboard,
        resume=resume,
    )


def _deliver(job: Job, trained: Trained, team: Team, folder: Path) -> Written | None:
    job.tell("export: int8 as trained, and quantized after training to compare with")
    verdicts = judge(job, trained)
    curve = learning_curve(job) if job.settings.learning_curve else ()
    if team.rank:
        return None
    delivered = deliver(job, trained, verdicts, folder)
    job.tell("evaluate: the files, as the device runs them")
    return write_report(folder, summarize(job, trained.history, verdicts, delivered, curve, folder))


def _once(team: Team, work: Callable[[], Result]) -> Result:
    """Done by the first process; every one gets its result, or its error."""
    if team.size == 1:
        return work()
    shared: list[Any] = [None]
    if team.rank == 0:
        try:
            shared[0] = work()
        except EdgeClassifierError as error:
            shared[0] = error
    distributed.broadcast_object_list(shared)
    if isinstance(shared[0], EdgeClassifierError):
        raise shared[0]
    result: Result = shared[0]
    return result


def _say_nothing(_: str) -> None:
    """One process speaks for all."""
