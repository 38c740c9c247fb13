"""What the networks are made of: convolutions that pad as the framework of their weights did."""

from enum import StrEnum

from torch import Tensor, nn
from torch.nn import functional

# Of TensorFlow's batch norm; torch's own default, 1e-5, ruins weights trained with it.
TENSORFLOW_EPS = 1e-3
TORCH_EPS = 1e-5


class Padding(StrEnum):
    """Where the zeros around a picture go at stride 2, where one side needs more of them."""

    # SAME: one more at the right and the bottom. Costs nothing on the device.
    TENSORFLOW = "tensorflow"
    # torchvision's: as many on every side. Costs a PAD operator a convolution of stride 2.
    SYMMETRIC = "symmetric"


class PaddedConv2d(nn.Conv2d):
    """A convolution without bias whose output has the input's sides, divided by ``stride``.

    For sides that ``stride`` divides. The two ways of padding look at pixels that lie one apart:
    weights trained with one are worthless with the other.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        padding: Padding = Padding.TENSORFLOW,
    ) -> None:
        symmetric = kernel // 2 if stride == 1 or padding is Padding.SYMMETRIC else 0
        super().__init__(
            inputs, outputs, kernel, stride, padding=symmetric, groups=groups, bias=False
        )
        excess = 0 if symmetric else kernel - stride
        # Zeros before and after each side that are put there first.
        self.excess = (excess // 2, excess - excess // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return super().forward(self.padded(x))

    def padded(self, x: Tensor) -> Tensor:
        """``x`` with the zeros that the convolution itself does not add."""
        # Written so that the converter fuses it into a SAME convolution.
        return functional.pad(x, (*self.excess, *self.excess)) if any(self.excess) else x


class Tap(nn.Identity):
    """A value that int8 stores and that no convolution or dense layer puts out.

    Here goes a quantizer of its own.
    """


def activated(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    padding: Padding = Padding.TENSORFLOW,
    eps: float = TENSORFLOW_EPS,
) -> nn.Sequential:
    """A convolution, its batch norm, and what int8 clips for nothing: ReLU6."""
    return nn.Sequential(
        PaddedConv2d(inputs, outputs, kernel, stride, groups, padding),
        nn.BatchNorm2d(outputs, eps),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; plus the input where the shapes agree."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        expansion: int,
        kernel: int = 3,
        padding: Padding = Padding.TENSORFLOW,
        eps: float = TENSORFLOW_EPS,
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        expand = [activated(inputs, wide, eps=eps)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            activated(wide, wide, kernel, stride, wide, padding, eps),
            PaddedConv2d(wide, outputs),
            nn.BatchNorm2d(outputs, eps),
        )
        self.residual = stride == 1 and inputs == outputs
        self.sum = Tap()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.conv(x)
        return self.sum(x + y) if self.residual else y
