"""Checks that need a look at the machine, or at several settings together."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from glob import has_magic
from pathlib import Path

from edge_classifier.config.changes import effect_of
from edge_classifier.config.field_types import Effect
from edge_classifier.config.layers import Draft
from edge_classifier.config.schema import SchemaNode
from edge_classifier.config.secrets import SECRET_FILES, read_secret
from edge_classifier.config.settings import CameraSettings
from edge_classifier.config.sources import SettingProblem
from edge_classifier.config.toml import Key, dotted, leaves
from edge_classifier.core.network.camera_address import (
    CAMERA,
    PICAMERA,
    PICTURES,
    STREAMS,
    device_of,
    is_miswritten,
    is_stream,
    picamera_number,
    scheme_of,
    shared_camera,
)
from edge_classifier.core.network.network_address import is_loopback
from edge_classifier.errors import ConfigurationError
from edge_classifier.files import is_file, is_folder, may_be_there, open_regular

_EVERYBODY = 0o004
_STATE_FOLDER = ("device", "state_folder")
_CA_FILE = ("mqtt", "tls", "ca_file")
_HTTP_HOST = ("http", "host")
_CERTIFICATES = ("ca_file", "certificate_file")
_TLS_PORT = 8883
# Bytes; all authorities of a system take a quarter of that.
_LARGEST_PEM = 1_000_000
# What a camera that takes another one's frames has of its own, of all that reaches the device.
_NOT_OF_THE_LENS = ("source", "look")
_NO_FILE = "cannot be read (it is no regular file)"
_TILDE = "~ is not expanded: write the whole path"


def problems_of(draft: Draft, root: SchemaNode) -> Iterator[SettingProblem]:
    """Files that cannot be used, and cameras that cannot be told apart."""
    for key, path in _paths(draft, root):
        if text := _path_problem(key, path):
            yield draft.problem(key, text)
    # Texts that may name a file, or something else.
    sources = [("cameras", name, "source") for name, _ in _sources(draft)]
    models = [("cameras", name, "model") for name, _ in _sources(draft)]
    for key in (*sources, *models, ("model", "use"), ("model", "delegate")):
        text = draft.get(key)
        if isinstance(text, str) and text.removeprefix(PICTURES).startswith("~"):
            yield draft.problem(key, _TILDE)
    yield from _camera_problems(draft)


def _camera_problems(draft: Draft) -> Iterator[SettingProblem]:
    by_name = dict(_sources(draft))
    seen: dict[str, str] = {}
    for name, source in by_name.items():
        if text := _sharing_problem(name, source, by_name):
            yield draft.problem(("cameras", name, "source"), text)
        if is_stream(source) and scheme_of(source) not in STREAMS:
            schemes = ", ".join(f"{scheme}://" for scheme in STREAMS)
            yield draft.problem(("cameras", name, "source"), f"a stream begins with {schemes}")
        if is_miswritten(source):
            text = "looks like an address, which begins with rtsp:// or http://"
            yield draft.problem(("cameras", name, "source"), text)
        elif source and not is_stream(source) and "\0" not in source and is_folder(Path(source)):
            text = f"is a folder; write {PICTURES}{source}"
            yield draft.problem(("cameras", name, "source"), text)
        other = seen.setdefault(name.lower(), name)
        if other != name:
            text = f"differs from {dotted(('cameras', other))} in upper and lower case only"
            yield draft.problem(("cameras", name), text)


def _sharing_problem(name: str, source: str, sources: Mapping[str, str]) -> str:
    """Why the camera cannot take the frames of the one that its source names; empty: it can."""
    if not source.startswith(CAMERA):
        return ""
    others = ", ".join(other for other in sources if other != name) or "no other"
    owner = shared_camera(source)
    if owner == name:
        return f"a camera cannot take its own frames; there are {others}"
    if owner not in sources:
        return f"there is no camera {owner or 'without a name'}; there are {others}"
    line = [name, owner]
    while (further := shared_camera(sources[line[-1]])) and further in sources:
        if further in line:
            ring = " from ".join([*line, further])
            return f"a ring: {ring}; one of them needs a device of its own"
        line.append(further)
    if len(line) > 2:
        return f"{owner} takes the frames of another camera itself; write {CAMERA}{line[-1]}"
    return ""


def warnings_of(draft: Draft, root: SchemaNode) -> Iterator[SettingProblem]:
    """What is allowed, and probably not meant."""
    for key, path in _paths(draft, root):
        is_readable = _is_readable(path)
        if key[-1] in SECRET_FILES and is_readable and path.stat().st_mode & _EVERYBODY:
            yield draft.problem(key, "everybody on this machine can read it; `chmod o= FILE`")
        # One that cannot be read is a problem, and told as one.
        if key[-1] in _CERTIFICATES and is_readable and is_file(path):
            try:
                with open_regular(path) as file:
                    has_mark = b"-----BEGIN " in file.read(_LARGEST_PEM)
            except OSError as error:
                yield draft.problem(key, f"cannot be read ({error.strerror})")
            else:
                if not has_mark:
                    yield draft.problem(key, "is not a PEM file: -----BEGIN is not in it")
    yield from _camera_warnings(draft)
    yield from _network_warnings(draft)


def _camera_warnings(draft: Draft) -> Iterator[SettingProblem]:
    seen: dict[str, str] = {}
    for name, source in _sources(draft):
        key = ("cameras", name, "source")
        if is_stream(source) and "@" in source:
            yield draft.problem(key, "a password is safer in a credentials_file")
        if owner := shared_camera(source):
            for item in fields(CameraSettings):
                own = ("cameras", name, item.name)
                is_of_lens = effect_of(("cameras", name, item.name)) is Effect.REOPEN
                if is_of_lens and item.name not in _NOT_OF_THE_LENS and draft.get(own) is not None:
                    yield draft.problem(own, f"does nothing: the frames are those of {owner}")
        other = seen.setdefault(_device(source), name)
        if _device(source) and other != name:
            text = f"is the device of {dotted(('cameras', other))}, too; only one can open it"
            yield draft.problem(key, text)
        folder = source.removeprefix(PICTURES)
        is_plain = source != folder and "\0" not in folder and not has_magic(folder)
        if is_plain and not may_be_there(Path(folder)):
            yield draft.problem(key, "there is no such folder")


def _network_warnings(draft: Draft) -> Iterator[SettingProblem]:
    if draft.get(("mqtt", "tls", "enabled")) is not True:
        plain = "and mqtt.tls.enabled is false: nothing is encrypted"
        if draft.get(("mqtt", "port")) == _TLS_PORT:
            yield draft.problem(("mqtt", "port"), f"is the port for TLS, {plain}")
        if draft.get(_CA_FILE):
            yield draft.problem(_CA_FILE, f"is for TLS, {plain}")
    host = draft.get(_HTTP_HOST)
    is_served = draft.get(("http", "enabled")) is not False
    if is_served and isinstance(host, str) and not is_loopback(host):
        yield draft.problem(_HTTP_HOST, "the network can read it: there is no log-in")


def _paths(draft: Draft, root: SchemaNode) -> Iterator[tuple[Key, Path]]:
    for key, value in leaves(draft.tree):
        node = root.at(key)
        if node and node.is_path and isinstance(value, str) and "\0" not in value:
            yield key, Path(value)


def _sources(draft: Draft) -> Iterator[tuple[str, str]]:
    """Names and sources of all cameras; an empty source where it is not text."""
    cameras = draft.get(("cameras",))
    for name in cameras if isinstance(cameras, dict) else ():
        source = draft.get(("cameras", name, "source"))
        yield name, source if isinstance(source, str) else ""


def _path_problem(key: Key, path: Path) -> str:
    if str(path).startswith("~"):
        return _TILDE
    if key == _STATE_FOLDER:
        # It need not be there yet: the daemon makes it.
        return "is not a folder" if _is_readable(path) and not path.is_dir() else ""
    if not may_be_there(path):
        return "there is no such file"
    if not _is_readable(path):
        return "cannot be read by this user"
    if not path.is_file():
        # A pipe would be waited for, and a device read without end.
        is_dir = path.is_dir()
        return "is a folder, and should be a file" if is_dir else _NO_FILE
    return _secret_problem(key, path) if key[-1] in SECRET_FILES else ""


def _secret_problem(key: Key, path: Path) -> str:
    try:
        secret = read_secret(path, "")
    except ConfigurationError as error:
        return error.problem
    if key[-1] == "credentials_file" and secret and ":" not in secret.reveal():
        return "the first line of the file is not USER:PASSWORD"
    return ""


def _is_readable(path: Path) -> bool:
    return os.access(path, os.R_OK, effective_ids=True)


def _device(source: str) -> str:
    """What only one camera can open; empty for streams, files and pictures."""
    number = picamera_number(source)
    return device_of(source) or ("" if number is None else f"{PICAMERA}:{number}")
