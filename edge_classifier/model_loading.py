"""Finds, checks and loads a model: builds the concrete parts of a classifier from choices."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.core.sentence import Sentence
from edge_classifier.engine.delegates import AUTO, DelegateChoice, choose_delegate
from edge_classifier.engine.memory import require_memory
from edge_classifier.engine.model_copy import ModelCopy
from edge_classifier.engine.probe import check_model
from edge_classifier.engine.runtime import Runtime, load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import ModelError
from edge_classifier.modelfile.catalogue import Catalogue, cache_folder, load_catalogue
from edge_classifier.modelfile.model_zip import model_file
from edge_classifier.modelfile.resolve import ContractOverrides, ModelFacts, Resolved, resolve
from edge_classifier.vision.preprocess import limit_opencv_threads

# Path, inode, size in bytes and time of the last change in nanoseconds.
Identities = tuple[tuple[str, int, int, int], ...]
# What labels beside a model end in; a contract begins with the model's name.
_LABEL_FILES = frozenset({".txt", ".pbtxt"})


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model, and how it is to be run."""

    # A catalogue name or a path; empty: the catalogue's default.
    reference: str = ""
    delegate: str = AUTO
    overrides: ContractOverrides = field(default_factory=ContractOverrides)
    # What the file must have, hex; empty: anything.
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that has been found, tried, loaded once and understood."""

    name: str
    delegate_choice: DelegateChoice
    sha256: str
    runtime: Runtime
    engine: TfliteEngine
    resolved: Resolved
    # Hash, runtime and delegate; empty: a file of the catalogue on the CPU.
    key: str = ""
    # Said when a file is not the one that the catalogue promises under its name.
    changed: str = ""
    # Of the files that it was read from, when it was read.
    files: Identities = ()
    threads: int = 1

    def has_changed_on_disk(self, choice: "ModelChoice") -> bool:
        """Whether ``choice``, by which it was loaded, would read other files now.

        Raises MissingFileError if there is no such file any more.
        """
        path = load_catalogue().locate(choice.reference)
        return _identities(path, choice.overrides) != self.files

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: assumptions, repairs, a fallback."""
        fallback = (self.delegate_choice.note,) if self.delegate_choice.fell_back else ()
        changed = (self.changed,) if self.changed else ()
        return self.resolved.notes + fallback + changed

    def is_of(self, sha256: str, delegate: DelegateChoice, threads: int) -> bool:
        """Whether these bytes, run in this way, are what the engine runs."""
        same_run = (self.delegate_choice.delegate, self.threads) == (delegate.delegate, threads)
        return same_run and self.sha256 == sha256

    def classifier(self, answer: AnswerOptions) -> Classifier:
        """A classifier on the engine that is loaded already."""
        return Classifier(self.engine, self.resolved.contract, answer)

    def classifiers(self, answer: AnswerOptions, count: int) -> list[Classifier]:
        """``count`` classifiers for as many threads, each on an engine of its own with one thread.

        The first one is on the engine that is loaded already; an accelerator has that one only.
        """
        found = [self.classifier(answer)]
        for _ in range(count - 1 if self.delegate_choice.delegate is None else 0):
            engine = TfliteEngine(self.delegate_choice.model, self.runtime, threads=1)
            found.append(Classifier(engine, self.resolved.contract, answer))
        return found


def load_model(
    choice: ModelChoice,
    *,
    threads: int = 1,
    catalogue: Catalogue | None = None,
    check: Callable[[ModelCopy], None] = check_model,
    before_use: Callable[[str], None] = lambda _: None,
    running: Iterable[LoadedModel] = (),
) -> LoadedModel:
    """Find, check, load and understand a model. Raises the errors of each of these steps.

    A file whose hash is not in the catalogue is first run in a child process, once a hash and
    runtime, because the runtime does not survive damaged flatbuffers. ``before_use`` is then told
    the ``LoadedModel.key`` of what is about to be run in this process. One of ``running`` with the
    same bytes gives its engine, which is not touched. Raises UnavailableError where the model does
    not fit into memory beside those.
    """
    catalogue = catalogue or load_catalogue()
    limit_opencv_threads(1)
    runtime = load_runtime()
    named = catalogue.locate(choice.reference)
    path = model_file(named)
    files = _identities(named, choice.overrides)
    running = tuple(running)
    engines = len({id(one.engine) for one in running})
    may_run_already = _has_size_of_one(path, running)
    if running and not may_run_already:
        require_memory(path, engines)
    with ModelCopy(path) as copy:
        sha256 = copy.sha256
        if choice.sha256 not in ("", sha256):
            problem = Sentence("is another file than the one that is meant (SHA-256 differs)")
            raise ModelError(str(path), problem)
        entry = catalogue.by_hash(sha256)
        delegate_choice = choose_delegate(choice.delegate, path)
        delegate = delegate_choice.delegate
        twin = next((one for one in running if one.is_of(sha256, delegate_choice, threads)), None)
        if twin is None and may_run_already:
            require_memory(path, engines)
        if twin is None and entry is None and delegate is None:
            _check_once(copy, runtime, check)
        key = ""
        if entry is None or delegate is not None:
            where = delegate.name if delegate else "cpu"
            key = f"{sha256}-{runtime.name}-{runtime.version}-{where}"
        before_use(key)
        # A delegate may need a file of its own, compiled for it: then there is no use for the copy.
        own = copy if delegate_choice.model == path else None
        engine = (twin and twin.engine) or TfliteEngine(
            delegate_choice.model, runtime, threads=threads, delegate=delegate, copy=own
        )
    known = entry.contract if entry else {}
    facts = ModelFacts(path, engine.input, engine.output, engine.last_operator, known, named)
    resolved = resolve(facts, choice.overrides)
    name = entry.name if entry else path.stem
    changed = _other_than_promised(catalogue, choice.reference, path, sha256)
    return LoadedModel(
        name, delegate_choice, sha256, runtime, engine, resolved, key, changed, files, threads
    )


def _other_than_promised(catalogue: Catalogue, reference: str, path: Path, sha256: str) -> str:
    """What is said of a file that the catalogue has another one for; empty: it is that one."""
    promised = catalogue.entry(reference or catalogue.default)
    if not promised or not promised.offered or promised.sha256 == sha256:
        return ""
    remedy = catalogue.how_to_get(promised)
    return Sentence(
        "{path} is not the file that the catalogue promises (SHA-256 differs). {remedy}",
        path=str(path),
        remedy=remedy,
    )


def _has_size_of_one(path: Path, running: Iterable[LoadedModel]) -> bool:
    # What cannot be looked at is told when it is read.
    with suppress(OSError):
        size = path.stat().st_size
        return any(size == facts[2] for one in running for facts in one.files)
    return False


def _identities(model: Path, overrides: ContractOverrides) -> Identities:
    """Of all files that a model may be read from: itself, its twin, labels and side-cars."""
    known = {model, *filter(None, (overrides.labels, overrides.taxonomy))}
    # A folder may be one whose files can be read, and not listed.
    with suppress(OSError):
        known |= {
            path
            for path in model.parent.iterdir()
            if path.suffix in _LABEL_FILES or path.stem.startswith(model.stem)
        }
    found = []
    for path in sorted(known):
        # One that is not there, or not ours to look at, is one that has no identity.
        with suppress(OSError):
            facts = path.stat()
            found.append((str(path), facts.st_ino, facts.st_size, facts.st_mtime_ns))
    return tuple(found)


def _check_once(copy: ModelCopy, runtime: Runtime, check: Callable[[ModelCopy], None]) -> None:
    passed = cache_folder() / "checked" / f"{copy.sha256}-{runtime.name}-{runtime.version}"
    # A home that cannot be read or written costs a trial each time, nothing else.
    with suppress(OSError):
        if passed.exists():
            return
    check(copy)
    with suppress(OSError):
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()
