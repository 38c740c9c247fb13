"""From a float network in torch to an all-int8 .tflite.

The steps are ``convert``, then ``calibrate`` (or ranges learned in training), ``quantize`` and
``model_writing.pack``. Weights are symmetric int8, per channel in convolutions; activations are
asymmetric int8 per tensor: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec
"""

import copy
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from litert_quantizer import calibrator, qtyping, quantizer, recipe_manager
from litert_quantizer.utils import qsv_utils
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import TensorSpec
from edge_classifier.engine.runtime import native_messages
from edge_classifier.modelfile import object_api
from edge_classifier.training.export.ranges import Ranges, activation_names, fit_biases
from edge_classifier.training.qat import INPUT_RANGE, activation_quantizers
from edge_classifier.vision.preprocess import Preprocessor

Reals = NDArray[np.float32]

_SIGNATURE, _ARGUMENT = "serving_default", "args_0"
# What the converter's and the quantizer's libraries say: those of TFLite, of Abseil's log and
# torch's own after it, and what torchao says of kernels for other processors.
_TOOLS_LINE = re.compile(r"(INFO|WARNING|ERROR): |[IWE]\d{4} |Failed to load .*torchao")


class _Probabilities(nn.Module):
    """A network as the device wants it: pixels last in, softmax inside."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(1, H, W, 3) to probabilities (1, classes). The converter absorbs the permutation."""
        return torch.softmax(self.network(x.permute(0, 3, 1, 2)), 1)


def convert(network: nn.Module, contract: Contract) -> bytes:
    """A float .tflite of fixed shape: (1, height, width, 3) to probabilities (1, classes).

    ``network`` maps (N, 3, H, W) to logits (N, classes). Batch norm is folded on the way.
    """
    example = torch.zeros(1, contract.height, contract.width, 3)
    with _quiet_tools():
        import litert_torch  # Late: it takes seconds, and only this function needs it.

        litert_torch.config.show_progress = False
        model: Any = litert_torch.convert(_Probabilities(network).eval(), (example,))
        return bytes(model.model_content())


def apply_temperature(network: nn.Module, temperature: float) -> nn.Module:
    """A copy whose logits are divided by ``temperature``: its probabilities are calibrated.

    ``network`` may have learned ranges; that of the logits is divided as well. Only scales change
    in the int8 file, not what it stores. Guo et al., "On Calibration of Modern Neural Networks",
    2017, section 4.2.
    """
    scaled = copy.deepcopy(network)
    quantizers = activation_quantizers(scaled)[-1:]
    limits = (limit for quantizer in quantizers for limit in (quantizer.low, quantizer.high))
    with torch.no_grad():
        for values in (*_logits_layer(scaled).parameters(), *limits):
            values.div_(temperature)
    return scaled


def lower_logit(network: nn.Module, number: int, by: float) -> None:
    """Make the class ``number`` less likely: its logit is ``by`` lower from now on.

    ``network`` may have learned ranges; that of the logits has room for it then.
    """
    with torch.no_grad():
        _logits_layer(network).bias[number] -= by
        for quantizer in activation_quantizers(network)[-1:]:
            quantizer.low -= by


def _logits_layer(network: nn.Module) -> nn.Linear:
    return [module for module in network.modules() if isinstance(module, nn.Linear)][-1]


def real_inputs(frames: Iterable[Frame], contract: Contract) -> Iterator[Reals]:
    """Each frame as the network sees it: float32 of shape (1, height, width, 3)."""
    shape = (1, contract.height, contract.width, 3)
    tensor = np.empty(shape, np.float32)
    spec = TensorSpec("", shape, np.dtype(np.float32))
    preprocessor = Preprocessor(contract, spec, tensor[0])
    for frame in frames:
        preprocessor.write(frame)
        yield tensor.copy()


def calibrate(model: bytes, inputs: Iterable[Reals]) -> Ranges:
    """The range of each activation of the float ``model`` over ``inputs``, by minimum and maximum.

    litert-quantizer's own default, a moving average, cuts off the extremes.
    """
    data = [{_ARGUMENT: tensor} for tensor in inputs]
    with _quiet_tools():
        counting = calibrator.Calibrator(
            model,
            mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
            qsv_update_func=qsv_utils.min_max_update,
        )
        counting.calibrate({_SIGNATURE: data}, _recipe())
    return {
        name: (_outward(float(np.min(seen["min"]))), _outward(float(np.max(seen["max"]))))
        for name, seen in counting.get_model_qsvs().items()
    }


def _outward(extreme: float) -> float:
    """The next number away from zero with eight significant bits.

    Float kernels differ in their last bits from processor to processor; the file need not.
    """
    mantissa, exponent = math.frexp(extreme)
    return math.copysign(math.ceil(abs(mantissa) * 256) / 256, extreme) * 2.0**exponent


def quantize(model: bytes, ranges: Ranges) -> bytes:
    """The float ``model`` in int8, given the ``ranges`` of all ``activation_names``.

    The input's range is always INPUT_RANGE. Weights lie inside the flatbuffer, which
    litert-quantizer leaves to offsets that other readers do not follow.
    """
    fixed = {**ranges, activation_names(model)[0]: INPUT_RANGE}
    statistics = {
        name: {"min": np.full((1, 1, 1, 1), low), "max": np.full((1, 1, 1, 1), high)}
        for name, (low, high) in fixed.items()
    }
    worker = quantizer.Quantizer(model, _recipe().get_quantization_recipe())
    # Biases that do not fit are mended below.
    with _quiet_tools(), np.errstate(invalid="ignore"):
        result = worker.quantize(statistics, enable_progress_report=False)
    quantized = object_api.read(bytes(result.quantized_model))
    fit_biases(quantized, object_api.read(model))
    object_api.raise_versions(quantized)
    object_api.shorten_names(quantized)
    return object_api.write(quantized)


@contextmanager
def _quiet_tools() -> Iterator[None]:
    """Keep from standard error what converter and quantizer say of their own work."""
    with native_messages(_TOOLS_LINE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
        warnings.filterwarnings("ignore", ".*preserve_all_tensors", UserWarning)
        yield


def _recipe() -> Any:
    """Static int8. The last layer per tensor: the Edge TPU takes no other fully connected."""
    manager = recipe_manager.RecipeManager()
    operators = qtyping.TFLOperationName
    manager.add_static_config(".*", operators.ALL_SUPPORTED, 8, 8)
    manager.add_static_config(
        ".*",
        operators.FULLY_CONNECTED,
        8,
        8,
        weight_granularity=qtyping.QuantGranularity.TENSORWISE,
    )
    return manager
