"""What a base made of a picture, kept under the picture's content: a lesson is taught again."""

import hashlib
import json
import os
import zlib
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.sentence import Sentence, from_json, to_json
from edge_classifier.dataset.facts import PictureFacts
from edge_classifier.files import replacing
from edge_classifier.teach.base import Base

# What is looked at in a picture, and how it is written down; another number forgets the old ones.
_FORMAT = 1
# Pictures, of all bases together. Each takes a block or two of a disk, about 4 kB.
MOST_KEPT = 25_000
_SUFFIX = ".features"


class FeatureCache:
    """A folder of small files, each whole or not there; what cannot be kept is made again."""

    def __init__(self, folder: Path, base: Base, *, most: int = MOST_KEPT) -> None:
        """``folder`` need not be there. For one base, of any number of programs at once."""
        self._root, self._most, self._size = folder, most, base.size
        # How pictures enter, without what they are called.
        key = f"{_FORMAT} {base.weights} {base.contract.with_labels(()).to_json()}"
        self._folder = folder / hashlib.sha256(key.encode()).hexdigest()[:16]

    def load(self, sha256: str, views: int) -> tuple[PictureFacts, NDArray[np.int8]] | None:
        """Facts and features (views or more, features) of the picture with this content."""
        path = self._path(sha256)
        try:
            content = path.read_bytes()
            head, _, body = content[4:].partition(b"\n")
            if zlib.crc32(content[4:]).to_bytes(4, "big") != content[:4]:
                return None
            known = json.loads(head)
            known["note"] = from_json(known["note"])
            if known["note"] and not isinstance(known["note"], Sentence):
                # The bare text of an earlier version would stay English in any language.
                return None
            facts = PictureFacts(**known)
            features = np.frombuffer(body, np.int8).reshape(-1, self._size)
        except (OSError, ValueError, TypeError, KeyError):
            # Not there, or damaged.
            return None
        with suppress(OSError):
            # The oldest go first.
            os.utime(path)
        return (facts, features) if len(features) >= views else None

    def store(self, facts: PictureFacts, features: NDArray[np.int8]) -> None:
        """Keep them, if the disk allows it."""
        known = asdict(facts) | {"note": to_json(facts.note)}
        head = json.dumps(known).encode()
        content = head + b"\n" + np.ascontiguousarray(features).tobytes()
        path = self._path(facts.sha256)
        beside = path.with_name(f".{facts.sha256[:16]}.{os.getpid()}")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path, durable=False, beside=beside) as file:
                file.write(zlib.crc32(content).to_bytes(4, "big") + content)

    def forget_oldest(self) -> None:
        """Leave no more than ``most`` pictures, those that were used last."""
        with suppress(OSError):
            paths = list(self._root.glob(f"*/*/*{_SUFFIX}"))
            if len(paths) > self._most:
                paths.sort(key=lambda path: path.stat().st_mtime_ns)
                for path in paths[: len(paths) - self._most]:
                    path.unlink()

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / f"{sha256}{_SUFFIX}"
