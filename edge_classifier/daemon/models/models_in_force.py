"""Which model each camera runs: the common one, or one of its own."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from edge_classifier.config.settings import ModelSettings, Settings
from edge_classifier.daemon.models.active_model import (
    ActiveModel,
    ModelFiles,
    RequestedModel,
    load_active_model,
)
from edge_classifier.daemon.models.model_trials import FailedTrialError, ModelTrials
from edge_classifier.errors import EdgeClassifierError, MissingFileError

_log = logging.getLogger(__name__)

# Stands for the cameras without a model of their own, where others are named.
COMMON = ""
# Of a camera's name, or COMMON: what was asked for over MQTT.
RequestedModels = Mapping[str, RequestedModel]
AS_CONFIGURED = RequestedModel()


@dataclass(frozen=True, slots=True)
class ModelInForce:
    """The common model, or a camera's own."""

    model: ActiveModel
    # By which it was loaded.
    chosen: ModelSettings
    # What was asked for over MQTT; without a name, it is the configured one.
    requested: RequestedModel = AS_CONFIGURED
    # Why it is not the configured one; empty: it is, or another one was asked for.
    fallback: str = ""

    @property
    def is_configured(self) -> bool:
        """Whether it must fit the settings."""
        return not (self.fallback or self.requested)

    def is_as_on_disk(self) -> bool:
        """Whether its files are those that it was loaded from. What took its place stays."""
        return bool(self.fallback) or not self.model.has_changed_on_disk(self.chosen)


@dataclass(frozen=True, slots=True)
class ModelsInForce:
    """What all cameras run. Cameras of the same model share it."""

    # By the cameras that have one of their own, and under COMMON that of all others.
    by_owner: Mapping[str, ModelInForce] = field(default_factory=lambda: MappingProxyType({}))
    # Why models that were asked for do not run, by the same names.
    went_back: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, camera: str) -> ModelInForce:
        """What ``camera`` runs."""
        return self.by_owner.get(camera) or self.by_owner[COMMON]

    @property
    def first(self) -> ActiveModel:
        """The common one, or of several the first."""
        found = self.by_owner.get(COMMON) or next(iter(self.by_owner.values()))
        return found.model

    @property
    def models(self) -> tuple[ActiveModel, ...]:
        """Each once."""
        return tuple({id(one.model): one.model for one in self.by_owner.values()}.values())

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why other models run than were wanted."""
        told = [*self.went_back.items()]
        told += [(owner, one.fallback) for owner, one in self.by_owner.items() if one.fallback]
        return tuple(f"{owner}: {text}" if owner else text for owner, text in told)

    @property
    def requested(self) -> RequestedModels:
        """What was asked for over MQTT, by the same names."""
        return {owner: one.requested for owner, one in self.by_owner.items() if one.requested}


def model_owners(settings: Settings, requested: RequestedModels) -> tuple[str, ...]:
    """Who needs a model: COMMON, unless every camera has its own, and those that have."""
    own = [name for name, camera in settings.cameras.items() if camera.model or requested.get(name)]
    return (*([] if len(own) == len(settings.cameras) else [COMMON]), *own)


def configured_choice(settings: Settings, owner: str) -> ModelSettings:
    """What the settings say of the common model, or of a camera's own."""
    use = settings.cameras[owner].model if owner else settings.model.use
    return _another(settings.model, use or settings.model.use)


def _another(model: ModelSettings, use: str) -> ModelSettings:
    """The model ``use``: label names, crop and the like are configured for one file alone."""
    if use == model.use:
        return model
    return replace(model, use=use, labels=None, taxonomy=None, crop="", input_range="")


def load_configured_models(settings: Settings) -> ModelsInForce:
    """What the settings say, for whoever is no daemon. Raises the errors of ``load_model``."""
    found: dict[str, ModelInForce] = {}
    for owner in model_owners(settings, {}):
        chosen = configured_choice(settings, owner)
        running = [one.model for one in found.values()]
        known = next((one.model for one in found.values() if one.chosen == chosen), None)
        found[owner] = ModelInForce(known or load_active_model(chosen, running=running), chosen)
    return ModelsInForce(found)


class ModelLoader:
    """Finds and loads what cameras are to run. For one thread at a time."""

    def __init__(self, files: ModelFiles, trials: ModelTrials) -> None:
        self._files, self._trials = files, trials

    def start(self, settings: Settings, requested: RequestedModels) -> ModelsInForce:
        """The first models of this process.

        One that was asked for and cannot be used any more gives way to the configured one, one that
        ended the daemon when it ran last to the one before it. In the place of a configured one
        that did so, or whose file is not there, the one that was configured before it runs, if that
        is known and here, else the embedded one. Raises what else keeps one from being used.
        """
        wanted, went_back = dict(requested), dict[str, str]()
        found: dict[str, ModelInForce] = {}
        for owner, ended in self._trials.ended.items():
            went_back[owner] = _go_back(owner, ended, wanted)
        # Where a request cannot be met, another model is needed than seemed so.
        while missing := [one for one in model_owners(settings, wanted) if one not in found]:
            owner = missing[0]
            request = wanted.get(owner, AS_CONFIGURED)
            try:
                found[owner] = self._load(settings, owner, request, ModelsInForce(found))
            except EdgeClassifierError as error:
                if request:
                    # Something else is wanted than the model that was asked for.
                    if isinstance(error, FailedTrialError):
                        went_back[owner] = _go_back(owner, error, wanted)
                    else:
                        _log.error("back to the configured model: %s", error)
                    if wanted[owner] == request:
                        del wanted[owner]
                elif isinstance(error, FailedTrialError | MissingFileError):
                    went_back.pop(owner, None)
                    found[owner] = self._stand_in(settings, owner, error, ModelsInForce(found))
                else:
                    raise
            else:
                if request:
                    _log.info("model %s, as asked for over MQTT", request.name)
        owners = model_owners(settings, wanted)
        return ModelsInForce({owner: found[owner] for owner in owners}, went_back)

    def _stand_in(
        self, settings: Settings, owner: str, failed: EdgeClassifierError, running: ModelsInForce
    ) -> ModelInForce:
        """What runs in the place of a configured model that cannot: see ``start``."""
        chosen, models = configured_choice(settings, owner), running.models
        before = failed.before.get(owner) if isinstance(failed, FailedTrialError) else None
        use = before.get("configured") if isinstance(before, dict) else None
        if isinstance(use, str) and use != chosen.use:
            try:
                model = load_active_model(_another(settings.model, use), running=models)
            except EdgeClassifierError as error:
                _log.error("the model that was configured before cannot be used: %s", error)
            else:
                text = (
                    f"{failed} The one that was configured before, {model.id}, runs in its place."
                )
                _log.error("%s", text)
                return ModelInForce(model, chosen, fallback=text)
        text = f"{failed} The embedded model runs in its place."
        _log.error("%s", text)
        model = load_active_model(ModelSettings(), running=models)
        return ModelInForce(model, chosen, fallback=text)

    def load(
        self,
        settings: Settings,
        requested: RequestedModels,
        running: ModelsInForce,
        *,
        once_more: str | None = None,
    ) -> ModelsInForce:
        """What is to run from now on; what runs already and is as it was on disk is kept.

        ``once_more``: whose model is tried even if it failed. Raises the errors of ``load_model``
        and FailedTrialError.
        """
        found: dict[str, ModelInForce] = {}
        try:
            for owner in model_owners(settings, requested):
                found[owner] = self._load(
                    settings,
                    owner,
                    requested.get(owner, AS_CONFIGURED),
                    ModelsInForce({**running.by_owner, **found}),
                    takes_over=True,
                    once_more=owner == once_more,
                )
        except Exception:
            self._trials.give_up()
            raise
        kept = {
            owner: text
            for owner, text in running.went_back.items()
            if owner != once_more and found.get(owner) == running.by_owner.get(owner)
        }
        return ModelsInForce(found, kept)

    def names_for_requests(self) -> tuple[str, ...]:
        """The models that may be asked for."""
        return self._files.names()

    def _load(
        self,
        settings: Settings,
        owner: str,
        request: RequestedModel,
        running: ModelsInForce,
        *,
        takes_over: bool = False,
        once_more: bool = False,
    ) -> ModelInForce:
        """The model of ``owner``, which may run already, for another one, too.

        ``takes_over``: from what runs now; else the daemon starts.
        """
        chosen = configured_choice(settings, owner)
        if request:
            in_use = [one.requested.name for one in running.by_owner.values()]
            try:
                use = self._files.reference(
                    request.name,
                    in_use=in_use,
                    sha256=request.sha256,
                    delegate=settings.model.delegate,
                )
            except MissingFileError:
                # Whoever sees that a camera runs ``gate`` may ask for it, wherever its file lies.
                named = (one for one in configured_uses(settings) if Path(one).stem == request.name)
                use = next(named, "")
                if not use:
                    raise
            chosen = _another(settings.model, use)
            request = replace(request, sha256=request.sha256 or self._files.fetched.hash_of(use))
        own = running.by_owner.get(owner)
        guard = self._trials.guard(
            request.name or chosen.use or "the embedded model",
            camera=owner,
            takes_over=takes_over,
            once_more=once_more,
            before=_way_back(own),
        )
        for known in filter(None, (own, *running.by_owner.values())):
            is_tried_anew = once_more and known.fallback
            is_same_file = request.sha256 in ("", known.model.loaded.sha256)
            fits = known.chosen == chosen and is_same_file and not is_tried_anew
            if fits and known.is_as_on_disk():
                if known is not own:
                    # What was on trial here gives way to one that runs, or is loaded, already.
                    guard(known.model.loaded.key)
                return replace(known, requested=request)
        model = load_active_model(chosen, guard, sha256=request.sha256, running=running.models)
        return ModelInForce(model, chosen, request)


def configured_uses(settings: Settings) -> tuple[str, ...]:
    """The models that the settings name, by names and paths."""
    named = (settings.model.use, *(camera.model for camera in settings.cameras.values()))
    return tuple(dict.fromkeys(use for use in named if use))


def _go_back(owner: str, failed: FailedTrialError, wanted: dict[str, RequestedModel]) -> str:
    """Want the model that was in use before one that ended the daemon, and say so."""
    wanted[owner] = RequestedModel.of_json(failed.before.get(owner))
    text = f"{failed} The one that was in use before runs in its place."
    _log.error("%s", text)
    return text


def _way_back(running: ModelInForce | None) -> dict[str, str]:
    """What is to run again where the next model ends the daemon, as JSON values.

    What had been asked for; and what the settings named, which may name another one by then.
    """
    way = (running.requested if running else AS_CONFIGURED).as_json()
    if running and running.is_configured:
        way["configured"] = running.chosen.use
    return way
