"""MobileNetV2's weights out of an int8 file, of this program or of ``to_int8``.

Batch norm is folded into the convolutions there. So that the network stays one with batch norm,
each gets the convolution's bias, a mean of 0 and a variance that does nothing;
``batch_norm.restore_statistics`` finds the true ones again.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edge_classifier.errors import ModelError
from edge_classifier.modelfile import object_api
from edge_classifier.training.networks.blocks import TENSORFLOW_EPS
from edge_classifier.training.networks.layer_names import layers

SUFFIXES = (".tflite",)
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def read(path: Path) -> dict[str, Tensor]:
    """The weights below the head under torchvision's names, in torch's layout, float32.

    Raises ModelError if it is not such a file, or not of MobileNetV2.
    """
    try:
        model = object_api.read(path.read_bytes())
        found = [
            _read_convolution(model, operator)
            for operator in model.subgraphs[0].operators
            if object_api.operator_name(model, operator) in _CONVOLUTIONS
        ]
    except Exception as error:  # A damaged file leads the reader to whatever error there is.
        problem = f"cannot be read as an int8 .tflite ({type(error).__name__})"
        raise ModelError(str(path), problem) from error
    wanted = list(layers())
    if len(found) < len(wanted):
        problem = f"is not a MobileNetV2: it has {len(found)} convolutions, not {len(wanted)}"
        raise ModelError(str(path), problem)
    tensors: dict[str, Tensor] = {}
    # What comes after them is the head.
    for layer, (kernel, bias) in zip(wanted, found, strict=False):
        convolution, norm = layer.torchvision
        tensors[f"{convolution}.weight"] = kernel
        tensors[f"{norm}.weight"] = torch.ones_like(bias)
        tensors[f"{norm}.bias"] = bias
        tensors[f"{norm}.running_mean"] = torch.zeros_like(bias)
        tensors[f"{norm}.running_var"] = torch.full_like(bias, 1 - TENSORFLOW_EPS)
    return tensors


def _read_convolution(model: Any, operator: Any) -> tuple[Tensor, Tensor]:
    """Kernel (out, in, H, W) and bias (out,) as real numbers."""
    tensors = model.subgraphs[0].tensors
    depthwise = object_api.operator_name(model, operator) == "DEPTHWISE_CONV_2D"
    _, weights, bias = operator.inputs
    stored = object_api.values(model, weights, np.int8).astype(np.float32)
    # Kernels are (out, H, W, in), depthwise ones (1, H, W, channels).
    stored = stored.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    scale = np.array(tensors[weights].quantization.scale, np.float32).reshape(-1, 1, 1, 1)
    bias_scale = np.array(tensors[bias].quantization.scale, np.float32)
    real_bias = object_api.values(model, bias, np.int32).astype(np.float32) * bias_scale
    return torch.from_numpy(np.ascontiguousarray(stored * scale)), torch.from_numpy(real_bias)
