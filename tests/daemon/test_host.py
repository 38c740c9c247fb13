"""The machine's metrics: of a Raspberry Pi's files, of none at all, and of this machine."""

import json
from pathlib import Path

import pytest

from edge_classifier.daemon.host import Host, Throttling, decode_throttling

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"


def put(root: Path, files: dict[str, str]) -> Host:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
    return Host(root, root=root)


def zone(number: int, kind: str, temperature: str) -> dict[str, str]:
    folder = f"sys/class/thermal/thermal_zone{number}"
    return {f"{folder}/type": f"{kind}\n", f"{folder}/temp": f"{temperature}\n"}


def test_host_of_a_raspberry_pi_measures_everything(tmp_path: Path) -> None:
    files = {
        **zone(0, "cpu-thermal", "51121"),
        FIRMWARE: "50005\n",
        "proc/self/statm": "30000 20000 5000 1 0 9000 0\n",
        "proc/loadavg": "0.52 0.40 0.31 1/150 1234\n",
    }
    facts = put(tmp_path, files).status().stats()
    assert json.loads(json.dumps(facts)) == {
        "temperature_c": 51.1,
        "memory_mb": pytest.approx(20000 * 4096 / 1e6, abs=0.1),
        "disk_free_mb": facts["disk_free_mb"],
        "load_1m": 0.52,
        "throttling": {
            "now": ["under_voltage", "throttled"],
            "since_boot": ["under_voltage", "throttled"],
        },
    }


@pytest.mark.parametrize(
    ("bits", "now", "since_boot"),
    [
        (0x0, (), ()),
        (0x1, ("under_voltage",), ()),
        (0x20000, (), ("frequency_capped",)),
        (0x80008, ("soft_temperature_limit",), ("soft_temperature_limit",)),
        (0x50005, ("under_voltage", "throttled"), ("under_voltage", "throttled")),
    ],
)
def test_throttling_bits_become_words(
    bits: int, now: tuple[str, ...], since_boot: tuple[str, ...]
) -> None:
    assert decode_throttling(bits) == Throttling(now, since_boot)


def test_host_of_a_raspberry_pi_5_finds_its_firmware(tmp_path: Path) -> None:
    path = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    assert put(tmp_path, {path: "0\n"}).status().throttling == Throttling((), ())


@pytest.mark.parametrize("kind", ["cpu-thermal", "soc-thermal", "x86_pkg_temp"])
def test_host_with_several_sensors_asks_the_processors(tmp_path: Path, kind: str) -> None:
    files = {**zone(0, "acpitz", "27800"), **zone(1, "gpu", "40000"), **zone(2, kind, "63500")}
    assert put(tmp_path, files).status().soc_celsius == 63.5


def test_host_with_several_sensors_of_the_processor_asks_the_first(tmp_path: Path) -> None:
    files = {**zone(0, "cpu-thermal", "50000"), **zone(1, "cpu-thermal", "99000")}
    assert put(tmp_path, files).status().soc_celsius == 50.0


def test_host_with_an_unfamiliar_sensor_asks_the_first(tmp_path: Path) -> None:
    files = {**zone(1, "other", "1000"), **zone(0, "bigcore", "-4500")}
    assert put(tmp_path, files).status().soc_celsius == -4.5


@pytest.mark.parametrize("text", ["", "unknown", "ä"])
def test_host_whose_files_hold_nonsense_leaves_them_out(tmp_path: Path, text: str) -> None:
    host = put(tmp_path, {**zone(0, "cpu-thermal", "1"), FIRMWARE: "0"})
    for path in (FIRMWARE, "sys/class/thermal/thermal_zone0/temp"):
        (tmp_path / path).write_text(text, "utf-8")
    assert list(host.status().stats()) == ["disk_free_mb"]


def test_host_without_any_files_leaves_everything_out(tmp_path: Path) -> None:
    status = Host(tmp_path / "gone", root=tmp_path).status()
    assert status.stats() == {}
    assert list(status.metrics()) == []


def test_host_metrics_of_throttling_name_every_cause(tmp_path: Path) -> None:
    metrics = {
        metric.name: metric for metric in put(tmp_path, {FIRMWARE: "20001"}).status().metrics()
    }
    now = {sample.labels["cause"]: sample.value for sample in metrics["throttled"].samples}
    assert now == {
        "under_voltage": 1, "frequency_capped": 0, "throttled": 0, "soft_temperature_limit": 0,
    }  # fmt: skip
    ever = {s.labels["cause"] for s in metrics["throttled_since_boot"].samples if s.value}
    assert ever == {"frequency_capped"}


def test_host_of_this_machine_measures_at_least_memory_and_disk(tmp_path: Path) -> None:
    status = Host(tmp_path).status()
    assert status.rss_bytes is not None
    assert 5e6 < status.rss_bytes < 5e9
    assert status.disk_free_bytes is not None
    assert status.disk_free_bytes > 0
    assert status.load_1m is not None
