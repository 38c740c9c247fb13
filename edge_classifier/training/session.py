"""A run from beginning to end, by one process or by several that torchrun has started."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from torch import distributed

from edge_classifier.errors import EdgeClassifierError
from edge_classifier.evaluation.report import Written, write_report
from edge_classifier.progress import show_progress
from edge_classifier.training import run_folder
from edge_classifier.training.data.training_data import TrainingData, check_and_split, scan_folders
from edge_classifier.training.export.model_files import predict_held_out, write_model_files
from edge_classifier.training.export.unknown import hold_back_unknown
from edge_classifier.training.run_report import collect_report_data
from edge_classifier.training.settings import TrainingSettings
from edge_classifier.training.train.devices import World, choose_hardware, join_world
from edge_classifier.training.train.learning_curve import learning_curve
from edge_classifier.training.train.plan import RunOptions
from edge_classifier.training.train.stages import Job, Log, train

Result = TypeVar("Result")


def train_and_export(
    settings: TrainingSettings, folder: Path, *, resume: bool, export: bool = True, log: Log
) -> Written | None:
    """Check the pictures, train, and with ``export`` write and measure the model file.

    What ``folder`` holds of the same run already is read and not done again, if it is to be
    resumed. None without an export, and in the processes that do not write.
    """
    machine = settings.machine
    world = join_world(choose_hardware(machine.device, "full").device)
    # One process speaks for all.
    log = log if world.rank == 0 else lambda _: None
    data = _once(world, lambda: _prepare_data(settings, folder, resume=resume, log=log))
    options = RunOptions(
        folder=folder,
        device=machine.device,
        precision=machine.precision,
        workers=machine.workers,
        seed=settings.seed,
        tensorboard=machine.tensorboard,
        resume=resume,
    )
    job = Job(settings, data, options, log)
    trained = train(job)
    if not export:
        return None
    log("export: int8 as trained, and quantized after training to compare with")
    hold_back_unknown(job, trained)
    predictions = predict_held_out(job, trained)
    curve = learning_curve(job) if settings.learning_curve else ()
    if world.rank:
        return None
    files = write_model_files(job, trained, predictions, folder)
    log("evaluate: the files, as the device runs them")
    return write_report(
        folder, collect_report_data(job, trained.history, predictions, files, curve, folder)
    )


def _prepare_data(
    settings: TrainingSettings, folder: Path, *, resume: bool, log: Log
) -> TrainingData:
    """The pictures, and the folder that says what is run on them."""
    found = scan_folders(settings.data)
    with show_progress("checking pictures", len(found.paths)) as progress:
        data = check_and_split(found, settings, lambda _: progress.advance(1))
    run_folder.write_run_facts(folder, settings, data.fingerprint, resume=resume)
    for line in data.check.lines():
        log(line)
    chosen_by = "the same" if data.chosen_on else len(data.choose.samples)
    log(
        f"{len(data.learn.samples)} pictures to learn from, {len(data.held.samples)} to "
        f"measure on, {chosen_by} to choose by"
    )
    return data


def _once(world: World, work: Callable[[], Result]) -> Result:
    """Done by the first process; every one gets its result, or its error."""
    if world.size == 1:
        return work()
    shared: list[Any] = [None]
    if world.rank == 0:
        try:
            shared[0] = work()
        except EdgeClassifierError as error:
            shared[0] = error
    distributed.broadcast_object_list(shared)
    if isinstance(shared[0], EdgeClassifierError):
        raise shared[0]
    result: Result = shared[0]
    return result
