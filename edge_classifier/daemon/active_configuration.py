"""Settings and models that take over while the daemon runs.

Slow work (reading the configuration, loading a model) is done in a background thread. What comes of
it takes over between two frames in the main loop, all of it or nothing, one change after the other.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from edge_classifier.config.changes import compare
from edge_classifier.config.settings import DecisionSettings, Settings
from edge_classifier.daemon.announcement import MOST_TOLD, DeviceAnnouncement
from edge_classifier.daemon.background import BackgroundThread, Done
from edge_classifier.daemon.cameras.active_cameras import Cameras
from edge_classifier.daemon.cameras.camera_overrides import (
    NO_OVERRIDES,
    ORIGIN,
    OverrideError,
    Overrides,
    kept_overrides,
    override,
    still_valid,
)
from edge_classifier.daemon.cameras.camera_pipeline import DaemonOutputs
from edge_classifier.daemon.models.active_model import RequestedModel
from edge_classifier.daemon.models.fetcher import ModelFetcher
from edge_classifier.daemon.models.fitted_rules import FittedRules
from edge_classifier.daemon.models.model_trials import ModelTrials
from edge_classifier.daemon.models.models_in_force import (
    AS_CONFIGURED,
    COMMON,
    ModelLoader,
    ModelsInForce,
    RequestedModels,
    model_owners,
)
from edge_classifier.decision.label_map import require_labels
from edge_classifier.decision.name_lines import UnknownLabelsError
from edge_classifier.errors import (
    ConfigurationError,
    EdgeClassifierError,
    UnavailableError,
    UsageError,
)
from edge_classifier.mqtt.codec.json_fields import inner

_log = logging.getLogger(__name__)

# For the main loop to complete a turn; it never takes so long unless it hangs.
_TAKE_OVER_S = 60.0


class ActiveConfiguration:
    """The settings and the models in force. Belongs to the main loop's thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        read_settings: Callable[[], Settings],
        models: ModelLoader,
        fetcher: ModelFetcher,
        trials: ModelTrials,
        requested: RequestedModels,
        before: RequestedModels = MappingProxyType({}),
        overrides: Mapping[str, Overrides] = MappingProxyType({}),
        post: Callable[[Callable[[], None]], bool],
        cameras: Cameras,
        outputs: DaemonOutputs,
    ) -> None:
        """``requested``, ``overrides``: models and settings of cameras, from before the restart.

        ``before``: what had been asked for before ``requested``.

        ``post`` has something done in the main loop; False when too much is waiting there.
        """
        # In force; as the file has them; and what was set over MQTT above that, by camera.
        self.settings = self._file = settings
        self._overrides = dict(overrides)
        self.models = ModelsInForce()
        self._started_with = settings
        self._requested = requested
        self._read_settings = read_settings
        self._loader, self._fetcher = models, fetcher
        # Of each camera, or COMMON, what was asked for before its last change.
        self._requested_before = dict(before)
        self._trials = trials
        # Rules that name labels which the camera's model does not have, a line each.
        self._resting_rules: tuple[str, ...] = ()
        self._rules = FittedRules()
        self._post = post
        self._background = BackgroundThread("background")
        self._cameras = cameras
        self._publisher, self._outputs = outputs.publisher, outputs
        self.announcement = DeviceAnnouncement(settings, cameras, outputs, models, fetcher)

    @property
    def trouble(self) -> str:
        """Why other models run than were wanted; empty: none does."""
        return "; ".join(self.models.troubles)

    def start(self) -> None:
        """Load the models, open the cameras, and begin to accept changes.

        Raises what keeps a configured model from being used; see ``ModelLoader.start``.
        """
        self._background.start()
        self._fetcher.start(on_news=lambda: self._post(self.announcement.publish_info))
        for owner, ended in self._trials.ended.items():
            self._fetcher.note_failure(ended.subject, ended.sha256, owner, ended)
        models = self._loader.start(self.settings, self._requested)
        before = self._overrides
        try:
            self._take(self.settings, models)
        except UnknownLabelsError as error:
            remedy = "`edge-classify models info` lists the model's labels."
            raise ConfigurationError("labels", str(error), remedy) from error
        if models.went_back or self._overrides != before:
            self.remember_overrides()

    def reload(self, done: Done) -> None:
        """Read the configuration again, and let what has changed take over."""

        def read() -> None:
            settings = self._read_settings()
            models = self._loader.load(settings, self.models.requested, self.models)
            self._take_over(partial(apply, settings, models))

        def apply(settings: Settings, models: ModelsInForce) -> None:
            before, set_before = self.settings, self._overrides
            models_before = self.models
            try:
                self._take(settings, models)
            except (UnknownLabelsError, EdgeClassifierError) as error:
                done(error)
                return
            if self._overrides != set_before:
                self.remember_overrides()
            live = compare(before, self.settings).live
            for owner, one in models.by_owner.items():
                replaced = models_before.by_owner.get(owner)
                if replaced and replaced.model is not one.model:
                    # The settings may name the same file as before.
                    key = f"cameras.{owner}.model" if owner else "model.use"
                    live = tuple(dict.fromkeys((*live, key)))
            restart_required = compare(self._started_with, settings).restart_required
            done({"changed": list(live), "restart_required": list(restart_required)})

        self._do_in_background(read, done)

    def switch_model(
        self, owner: str, wanted: RequestedModel, done: Done, *, reason: str = ""
    ) -> None:
        """Let another model take over: the common one, or that of the camera ``owner``.

        One with a SHA-256 is fetched first, if it is not here; what was asked for earlier and still
        comes is given up. ``reason``: why the model that runs is, told as its failure then.
        """
        switch = partial(self._switch, owner, wanted)
        running = self.models.by_owner.get(owner) or self.models.by_owner.get(COMMON)

        def tell(outcome: Mapping[str, Any] | Exception) -> None:
            done(outcome)
            runs = outcome.get("model") if isinstance(outcome, Mapping) else None
            if reason and running and runs not in (None, running.model.id):
                _log.warning("model %s has been taken back: %s", running.model.id, reason)
                before = running.model.loaded
                error = UnavailableError(before.name, f"has been taken back ({reason})")
                self._fetcher.note_failure(before.name, before.sha256, owner, error)

        if wanted.sha256:
            self._fetcher.bring(owner, wanted, self.settings, self.hashes_in_use, switch, tell)
        else:
            self._fetcher.give_up(owner)
            switch(tell)

    def hashes_in_use(self) -> set[str]:
        """Of models that run, that ran before them, and that may run again after a trial."""
        running = {one.loaded.sha256 for one in self.models.models}
        back = map(RequestedModel.of_json, self._trials.ways_back())
        return running | {one.sha256 for one in (*self._requested_before.values(), *back)}

    def _switch(self, owner: str, wanted: RequestedModel, done: Done) -> None:
        def load() -> None:
            requested = {**self.models.requested, owner: wanted}
            if owner and owner not in self.settings.cameras:
                raise UsageError(owner, "there is no such camera any more")
            if owner == COMMON and COMMON not in model_owners(self.settings, requested):
                remedy = "Name the camera in the request."
                raise UsageError("model", "every camera has a model of its own", remedy)
            # Whoever asks for a model that failed, wants to know whether it does so again.
            models = self._loader.load(self.settings, requested, self.models, once_more=owner)
            self._take_over(partial(apply, models))

        def apply(models: ModelsInForce) -> None:
            before = self.models.requested.get(owner, AS_CONFIGURED)
            try:
                self._take(self._file, models)
            except (UnknownLabelsError, EdgeClassifierError) as error:
                done(error)
                return
            if before != self.models.requested.get(owner, AS_CONFIGURED):
                self._requested_before[owner] = before
            self.remember_overrides()
            common = [name for name in self.settings.cameras if name not in models.by_owner]
            cameras = [owner] if owner else common
            resting = [
                rule
                for rule in self._resting_rules
                if any(rule.startswith(f"cameras.{name}.") for name in cameras)
            ]
            done(
                {
                    "model": models.of(owner).model.id,
                    "cameras": cameras,
                    "resting_rules": resting[:MOST_TOLD],
                }
            )

        self._do_in_background(load, done)

    def remember_overrides(self) -> None:
        """Keep what was set over MQTT through restarts."""
        requested = dict(self.models.requested)
        common = requested.pop(COMMON, AS_CONFIGURED)
        models = {name: one.as_json() for name, one in requested.items()}
        earlier = {owner: one.as_json() for owner, one in self._requested_before.items() if one}
        kept = {"cameras": self._overrides, **common.as_json(), "models": models}
        self._publisher.remember("overrides", {**kept, "models_before": earlier})

    def _do_in_background(self, job: Callable[[], None], done: Done) -> None:
        """Do slow work beside the main loop; a failure is reported, and changes nothing."""

        def work() -> None:
            try:
                job()
            except EdgeClassifierError as error:
                done(error)
            except Exception as error:
                # A bug, or a machine without memory or processes left; the thread logs where.
                done(UnavailableError("this change", f"failed ({type(error).__name__}: {error})"))
                raise

        if not self._background.submit(work):
            problem = "too many changes are under way"
            done(UnavailableError("this change", problem, "Try again later"))

    def _take_over(self, action: Callable[[], None]) -> None:
        """Have ``action`` done in the main loop, and wait: the next change builds on this one."""
        applied = threading.Event()

        def act() -> None:
            action()
            applied.set()

        if not self._post(act):
            raise UnavailableError("the main loop", "too much is waiting", "Try again later")
        applied.wait(_TAKE_OVER_S)

    def set_cameras(
        self,
        cameras: Iterable[str],
        values: dict[str, Any],
        reset: Collection[str] = (),
    ) -> None:
        """Set ``values`` of ``cameras`` above the file, and let ``reset`` be as the file says.

        At once: neither the file is read nor a model loaded. All of it or nothing. Raises
        OverrideError with all that is wrong, and what ``Cameras.configure`` raises.
        """
        overrides, problems = dict(self._overrides), list[str]()
        for name in cameras:
            kept = self._overrides.get(name, NO_OVERRIDES)
            wanted = {key: kept[key] for key in kept if key not in reset} | values
            judged = override(name, self._file.cameras[name], wanted, asked=values)
            problems += map(str, judged.problems)
            if "ignore" in values and not judged.problems:
                problems += self._label_problems(name, judged.camera.decision)
            overrides[name] = wanted
        if problems:
            raise OverrideError("; ".join(problems))
        overrides = {name: one for name, one in overrides.items() if one}
        self._apply(self._file, overrides, self.models)
        self.remember_overrides()

    def _label_problems(self, name: str, decision: DecisionSettings) -> list[str]:
        """Why ``decision`` does not go with the model of a camera, beside what rests already."""
        model, found = self.models.of(name).model, list[tuple[str, ...]]()
        for one in (self.settings.cameras[name].decision, decision):
            try:
                require_labels(model.labels, one, model.taxonomy)
                found.append(())
            except UnknownLabelsError as error:
                found.append(tuple(error.problems))
        before, after = found
        return [f"cameras.{name}.decision.{text}" for text in after if text not in before]

    def _take(self, file: Settings, models: ModelsInForce) -> None:
        """Let another file or other models take over, or raise and leave everything as it is.

        What was set over MQTT stays above the file, as far as it goes with it, and is forgotten
        with its camera. Raises as ``_apply``.
        """
        overrides: dict[str, Overrides] = {}
        dropped: list[str] = []
        for name, kept in self._overrides.items():
            if name not in file.cameras:
                dropped.append(f"{name}: there is no such camera any more")
                continue
            valid, problems = still_valid(name, file.cameras[name], kept)
            dropped += map(str, problems)
            if valid:
                overrides[name] = valid
        try:
            self._apply(file, overrides, models)
        except (UnknownLabelsError, EdgeClassifierError):
            self._trials.give_up()
            raise
        self._trials.came_into_use(models.by_owner)
        for problem in dropped:
            _log.warning("%s, and dropped: %s", ORIGIN, problem)
        self._outputs.store.configure(file.store)
        logging.getLogger().setLevel(file.log.level.upper())
        self.announcement.log()

    def _apply(
        self, file: Settings, overrides: Mapping[str, Overrides], models: ModelsInForce
    ) -> None:
        """Let all of it be in force, or raise and leave everything as it is.

        The configured common model must have all labels that the file names: raises
        UnknownLabelsError. Of any other one, asked for over MQTT, a camera's own or in the place of
        one that failed, rules for labels that it does not have rest; so do rules that were set over
        MQTT. Raises ConfigurationError.
        """
        cameras = {
            name: override(name, camera, overrides.get(name, NO_OVERRIDES)).camera
            for name, camera in file.cameras.items()
        }
        settings = replace(file, cameras=cameras)
        fitted_cameras = dict(cameras)
        resting: list[str] = []
        for name, camera in cameras.items():
            one = models.of(name)
            if one.is_configured and name not in models.by_owner:
                self._rules.require(f"{name}, file", one.model, file.cameras[name].decision)
                if "ignore" not in overrides.get(name, NO_OVERRIDES):
                    continue
            fitted, rules = self._rules.fit(f"{name}, own", one.model, camera.decision)
            fitted_cameras[name] = replace(camera, decision=fitted)
            inherited: tuple[str, ...] = ()
            if camera.model:
                # What all cameras inherit was not written for this one's model.
                common = self._rules.fit(f"{name}, common", one.model, file.decision)
                inherited = common.resting
            resting += [
                f"cameras.{name}.decision.{rule}" for rule in rules if rule not in inherited
            ]
        self._cameras.configure(
            replace(settings, cameras=fitted_cameras),
            {name: models.of(name).model for name in cameras},
        )
        self._resting_rules = tuple(resting)
        ids = {name: models.of(name).model.id for name in cameras}
        self._outputs.meters.set_cameras(cameras, ids)
        self.settings, self._file, self.models = settings, file, models
        self._overrides = dict(overrides)
        self.announcement.publish(settings, models, resting, overrides)

    def inferences(self) -> Mapping[str, int]:
        """Since the start, of each camera with a model of its own, and under COMMON of others."""
        found: dict[str, int] = {}
        for name, count in self._outputs.meters.inferences().items():
            owner = name if name in self.models.by_owner else COMMON
            found[owner] = found.get(owner, 0) + count
        return found


def remembered_overrides(
    remembered: Mapping[str, Any],
) -> tuple[Mapping[str, Overrides], RequestedModels]:
    """What ``remember_overrides`` kept before the restart: each camera's, and the models."""
    overrides = inner(remembered, "overrides")
    models = _requested({COMMON: overrides, **inner(overrides, "models")})
    return kept_overrides(remembered), models


def remembered_models_before(remembered: Mapping[str, Any]) -> RequestedModels:
    """Of ``remember_overrides``: what had been asked for before that."""
    return _requested(inner(inner(remembered, "overrides"), "models_before"))


def _requested(kept: Mapping[str, Any]) -> RequestedModels:
    requested = {owner: RequestedModel.of_json(one) for owner, one in kept.items()}
    return {owner: one for owner, one in requested.items() if one}
