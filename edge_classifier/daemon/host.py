"""The machine beneath: temperature, throttling, memory, disk. Read from Linux's own files."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from edge_classifier.daemon.meters import DaemonMetric, MetricSample, gauge

# Names of the processor's sensor, the likeliest first. A Raspberry Pi's is cpu-thermal.
_SENSORS = ("cpu-thermal", "cpu_thermal", "soc-thermal", "soc_thermal", "x86_pkg_temp")

# A Raspberry Pi's firmware. The kernel notes once a boot that it would rather be asked through
# hwmon, which knows of under-voltage only.
_FIRMWARE = "sys/devices/platform/soc*/soc*firmware/get_throttled"

# As `vcgencmd get_throttled` documents them; 16 bits further: has happened since the boot.
_BITS: Mapping[int, str] = MappingProxyType(
    {0: "under_voltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
)


@dataclass(frozen=True, slots=True)
class Throttling:
    """What holds a Raspberry Pi back, by the names above."""

    now: tuple[str, ...]
    since_boot: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One look at the machine; None: not known on this machine."""

    soc_celsius: float | None
    throttling: Throttling | None
    # Memory of this process.
    rss_bytes: int | None
    # Where the state lies.
    disk_free_bytes: int | None
    # Processes that want to run, mean of one minute.
    load_1m: float | None

    def stats(self) -> dict[str, object]:
        """For the ``stats`` topic; what is not known is left out."""
        numbers = {
            "temperature_c": _scaled(self.soc_celsius, 1.0),
            "memory_mb": _scaled(self.rss_bytes, 1e6),
            "disk_free_mb": _scaled(self.disk_free_bytes, 1e6),
            "load_1m": self.load_1m,
            "throttling": self.throttling and asdict(self.throttling),
        }
        return {key: value for key, value in numbers.items() if value is not None}

    def metrics(self) -> Iterator[DaemonMetric]:
        """For Prometheus; what is not known is left out."""
        numbers = (
            ("soc_temperature_celsius", "Of the processor.", self.soc_celsius),
            ("resident_memory_bytes", "Memory of this process.", self.rss_bytes),
            ("disk_free_bytes", "Where the state lies.", self.disk_free_bytes),
            ("load1", "Processes that want to run, mean of one minute.", self.load_1m),
        )
        for name, text, value in numbers:
            if value is not None:
                yield gauge(name, text, value)
        if self.throttling:
            yield _throttled("throttled", "What holds the processor back.", self.throttling.now)
            since = "What held the processor back since the boot."
            yield _throttled("throttled_since_boot", since, self.throttling.since_boot)


class Host:
    """Where this machine keeps its measurements, found once."""

    def __init__(self, state_folder: Path, *, root: Path = Path("/")) -> None:
        self._state_folder = state_folder
        self._root = root
        self._sensor = _sensor(root / "sys/class/thermal")
        self._firmware = next(iter(sorted(root.glob(_FIRMWARE))), None)

    def status(self) -> HostStatus:
        """Look now; takes well under a millisecond."""
        statm = _text(self._root / "proc/self/statm").split()
        load = _text(self._root / "proc/loadavg").split()
        soc_millicelsius, throttling, disk = _text(self._sensor), None, None
        with suppress(ValueError):
            throttling = decode_throttling(int(_text(self._firmware), 16))
        with suppress(OSError):
            disk = os.statvfs(self._state_folder)
        is_number = soc_millicelsius.lstrip("-").isdecimal()
        return HostStatus(
            soc_celsius=int(soc_millicelsius) / 1e3 if is_number else None,
            throttling=throttling,
            rss_bytes=int(statm[1]) * os.sysconf("SC_PAGE_SIZE") if statm else None,
            disk_free_bytes=disk.f_bavail * disk.f_frsize if disk else None,
            load_1m=float(load[0]) if load else None,
        )


def decode_throttling(bits: int) -> Throttling:
    """The firmware's answer in words."""
    now = tuple(name for bit, name in _BITS.items() if bits >> bit & 1)
    return Throttling(now, tuple(name for bit, name in _BITS.items() if bits >> bit >> 16 & 1))


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else round(value / unit, 1)


def _throttled(name: str, text: str, true: tuple[str, ...]) -> DaemonMetric:
    samples = (MetricSample(cause in true, {"cause": cause}) for cause in _BITS.values())
    return DaemonMetric(name, text, "gauge", tuple(samples))


def _sensor(folder: Path) -> Path | None:
    """The processor's sensor; the first one where none has a familiar name."""
    zones = sorted(folder.glob("thermal_zone*"))
    types = {_text(zone / "type"): zone / "temp" for zone in reversed(zones)}
    known = (types[name] for name in _SENSORS if name in types)
    return next(known, zones[0] / "temp" if zones else None)


def _text(path: Path | None) -> str:
    """Empty for what cannot be read: a sensor may be there and yet refuse."""
    try:
        return path.read_text("ascii").strip() if path else ""
    except (OSError, ValueError):
        return ""
