"""The processor that trains, and how precisely it does: asked of torch, never tried out."""

import os

import pytest
import torch

from edge_classifier.errors import ConfigurationError
from edge_classifier.training.train.devices import Hardware, choose_hardware

GPU = torch.device("cuda", 0)


@pytest.fixture
def graphics(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with one NVIDIA GPU that has bfloat16, as torch tells of it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    # Taken away again afterwards, whoever sets it.
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return monkeypatch


@pytest.mark.usefixtures("graphics")
@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize(
    ("precision", "autocast"), [("auto", torch.bfloat16), ("mixed", torch.bfloat16), ("full", None)]
)
def test_gpu_is_taken_in_mixed_precision_unless_full_is_wanted(
    device: str, precision: str, autocast: torch.dtype | None
) -> None:
    assert choose_hardware(device, precision) == Hardware(GPU, autocast)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_gpu_without_bfloat16_computes_in_float16(graphics: pytest.MonkeyPatch) -> None:
    graphics.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert choose_hardware("auto", "mixed") == Hardware(GPU, torch.float16)


def test_process_without_a_gpu_of_its_own_is_refused(graphics: pytest.MonkeyPatch) -> None:
    graphics.setenv("LOCAL_RANK", "1")
    with pytest.raises(ConfigurationError, match=r"more processes than there are GPUs \(1\)"):
        choose_hardware("cuda", "full")


@pytest.mark.usefixtures("graphics")
def test_cpu_that_is_wanted_computes_in_full_precision() -> None:
    assert choose_hardware("cpu", "mixed") == Hardware(torch.device("cpu"))
