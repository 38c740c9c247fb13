"""The file that ``config init`` writes: settings that suit a camera at home, with few words."""

from edge_classifier.config.settings import DecisionSettings, StoreSettings
from edge_classifier.config.toml import inline

_TEXT = """\
# Settings of edge-classifier for a camera at home: what most people change, and no more.
# A line with # and no blank is an example: take the # away to use it. docs/configuration.md has all
# settings, and `edge-classify config show` prints those in force.
# After a change: `edge-classify config check`, then `systemctl reload edge-classifier`.

[cameras.camera]
# 0 or /dev/video2: a USB camera. picamera2: the Raspberry Pi's own. rtsp://... or http://...: a
# camera in the network. A video, or pictures:FOLDER, for trials.
source = {source}
# A file whose first line is USER:PASSWORD of a camera in the network.
#credentials_file = "/etc/edge-classifier/secrets/camera-camera"
# What people read, in Home Assistant for instance. In topics it is called as this table is.
title = "Camera"
# For one that hangs upside down.
#rotate = 180
# Only this part of the picture, in shares of its width and height: leave the road out.
#region = {{ left = 0.0, top = 0.3, width = 1.0, height = 0.7 }}
# Nothing is classified in these hours.
#quiet_hours = ["23:00-06:00"]

[decision]
# How sure it must be, from 0 to 1: a label comes at `enter`, and goes below `leave`. Lower: more is
# named, and more of it wrongly. `edge-classify watch --camera camera` shows the scores.
enter = {decision.enter}
leave = {decision.leave}
# Seconds that a label must hold until it is published.
dwell_s = {decision.dwell_s}
# Nothing but these is ever published; `edge-classify models info` prints what there is.
#only = ["bird", "cat", "dog"]
# Never published.
#ignore = ["window screen", "window shade"]

[mqtt]
# The machine with Home Assistant or mosquitto. Home Assistant then finds the camera by itself.
host = {broker}
#username = "edge"
# Its first line is the password.
#password_file = "/etc/edge-classifier/secrets/mqtt-password"

[snapshots]
# A picture with each event, through the broker. false: no picture leaves this machine.
enabled = true
# Pictures wait with their events, for a recorder that is away: the web page.
keep_waiting = {recorded}

[store]
# Keep pictures to learn from, on this machine: those of events, and those it was not sure of.
enabled = false
# When they take more, the oldest goes.
max_bytes = {store.max_bytes}
"""


def home_settings(*, source: str, broker: str = "localhost", recorded: bool = False) -> str:
    """A whole file, TOML. ``recorded``: for a device whose events a web page records."""
    return _TEXT.format(
        source=inline(source),
        broker=inline(broker),
        recorded=inline(recorded),
        decision=DecisionSettings(),
        store=StoreSettings(),
    )
