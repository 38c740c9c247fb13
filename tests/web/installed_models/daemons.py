"""What the page of models sees of daemons."""

from collections.abc import Callable, Mapping
from typing import Any

from edge_classifier.errors import UnavailableError
from edge_classifier.web.services import Services

Change = Callable[..., Services]


class Daemons:
    """What ``Live`` is for this page: devices, and a daemon that answers."""

    bursts = None

    def __init__(self, answer: Mapping[str, Any] | UnavailableError, model: str = "") -> None:
        self.answer, self.model = answer, model
        self.change: dict[str, Any] | None = None
        self.resting: list[str] = []
        self.asked: list[tuple[str, str, Mapping[str, Any]]] = []

    def devices(self) -> list[str]:
        return ["pi"]

    def device(self, name: str) -> dict[str, Any]:
        models = ["other@00000000", self.model]
        told = {"name": name, "online": True, "model": models[0], "models": models}
        settings = {"gate": {"title": {"value": "The gate", "set_over_mqtt": False}}}
        told |= {"version": "1.0", "settings": settings, "resting_rules": self.resting}
        return {**told, "cameras": ["front", "gate"], "model_change": self.change}

    def camera(self, _device: str, name: str) -> dict[str, Any] | None:
        return {"model": self.model} if name == "gate" and self.model else None

    def tell(self, device: str, command: str, body: Mapping[str, Any]) -> bool:
        self.asked.append((device, command, body))
        return self.answer != {}

    def request(
        self, device: str, command: str, payload: Mapping[str, Any], _s: float = 30
    ) -> Mapping[str, Any]:
        self.asked.append((device, command, payload))
        if isinstance(self.answer, UnavailableError):
            raise self.answer
        return self.answer
