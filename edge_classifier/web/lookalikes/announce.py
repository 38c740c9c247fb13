"""Tells that something is new at a camera: on its card of the live page, and over MQTT."""

import json
from typing import Any

from edge_classifier.files import utc_stamp
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Record


class Announcer:
    """Called with each record that has been marked as new, with its camera and label."""

    def __init__(self, settings: WebSettings, live: LiveClient | None) -> None:
        """``live``: None where the page does not listen to daemons."""
        # Beside the daemons' own topics, of which a page writes none.
        self._base = f"{settings.mqtt.base_topic}-web"
        self._is_published = settings.lookalikes.publish_new
        self._live = live

    def __call__(self, record: Record) -> None:
        """Nothing waits for a broker that is away."""
        if not self._live or not record.camera:
            return
        device, camera, key = record.camera.device, record.camera.name, str(record.key)
        self._live.mark_new(device, camera, key, record.at.timestamp())
        if self._is_published:
            topic = f"{self._base}/{device}/{camera}/new_here"
            self._live.publish(topic, json.dumps(payload(record), ensure_ascii=False).encode())


def payload(record: Record) -> dict[str, Any]:
    """What docs/mqtt.md says of ``new_here``."""
    camera = record.camera
    return {
        "id": record.key.hex,
        "device": camera.device if camera else "",
        "camera": camera.name if camera else "",
        "ts": utc_stamp(record.at.timestamp()),
        "label": record.label.name,
        "score": record.score,
        "page": f"/records/{record.key}",
    }
