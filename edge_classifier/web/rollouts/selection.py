"""Which devices a roll-out is for: by their names, the model that they run, or a label."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from django.db.models import Q

from edge_classifier.web.installed_models.store import ModelStore
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Camera, Label, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSelection:
    """What devices are to be chosen; what is empty chooses all."""

    # Of devices or cameras; with * and ? for what may be anything.
    names: tuple[str, ...] = ()
    # A model that they run, ``name`` or ``name@21331c65``.
    model: str = ""
    # One that a camera has shown, or that the model knows which it runs.
    label: str = ""
    # One that they have.
    camera: str = ""
    # Whether ``names`` may also be words of what people call cameras, in small letters or not.
    has_titles: bool = False

    def devices(self, live: LiveClient, models: ModelStore) -> list[dict[str, Any]]:
        """All that are meant, by name, as ``LiveClient.device`` has them."""
        found = []
        for one in filter(None, (live.device(name) for name in live.devices())):
            running = (*one["models"], *(model.partition("@")[0] for model in one["models"]))
            runs_it = not self.model or self.model in running
            has_camera = not self.camera or self.camera in one["cameras"]
            if self._has_name(one, live) and runs_it and has_camera:
                found.append(one)
        if not found or not self.label:
            return found
        # Devices that have shown it, and first digits of the models here that know it.
        named = Label.objects.filter(Q(name=self.label) | Q(chinese=self.label))
        seen = Record.objects.filter(label__in=named, source=Record.Source.EVENT)
        cameras = Camera.objects.filter(pk__in=seen.values("camera"))
        shown = set(cameras.values_list("device", flat=True))
        hashes = {
            model.sha256[:8]
            for model in models.installed()
            if (facts := model.facts) and self.label in (*facts.labels, *facts.chinese)
        }
        return [
            one
            for one in found
            if one["name"] in shown
            or any(model.rpartition("@")[2] in hashes for model in one["models"])
        ]

    def _has_name(self, device: dict[str, Any], live: LiveClient) -> bool:
        own = (device["name"], *device["cameras"])
        if not self.names or any(fnmatchcase(one, name) for name in self.names for one in own):
            return True
        if not self.has_titles:
            return False
        titles = " ".join(live.title(device["name"], camera) for camera in device["cameras"])
        words = titles.casefold().split()
        return any(fnmatchcase(one, name.casefold()) for name in self.names for one in words)


def models_that_run(devices: Iterable[dict[str, Any]]) -> list[str]:
    """What may be chosen by."""
    return sorted({one for device in devices for one in device["models"]})
