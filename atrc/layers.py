"""Convolutional blocks that backbones, contexts and heads share.

Submodule names are those of the ImageNet checkpoints of ResNet and HRNet (``conv1``, ``bn1``,
``downsample``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from atrc.products import multiply, outer

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "Pointwise",
    "conv_bn",
    "conv_bn_relu",
    "init_from_scratch",
    "join",
    "pointwise_bn_relu",
]

NARROW = 16
"""Number of channels that the widest vector registers hold."""


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """Returns a bias-free convolution, padded so that only the stride shrinks the map, and a batch norm."""
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Returns `conv_bn` followed by ReLU."""
    return nn.Sequential(*conv_bn(inputs, outputs, kernel, stride, dilation), nn.ReLU(inplace=True))


def pointwise_bn_relu(inputs: int, outputs: int, *, affine: bool = True) -> nn.Sequential:
    """Returns a 1x1 convolution without bias, a batch norm and a ReLU."""
    return nn.Sequential(
        Pointwise(inputs, outputs, bias=False), nn.BatchNorm2d(outputs, affine=affine), nn.ReLU(inplace=True)
    )


class Pointwise(nn.Conv2d):
    """A 1x1 convolution, computed as a product of weights with maps where that is faster: in training on a CPU.

    Args:
        inputs: Channels of the map.
        outputs: Channels of the result.
        bias: Whether it learns a bias.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        plain = x.device.type == "cpu" and x.is_contiguous() and x.dtype == self.weight.dtype
        if not plain or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
            return super().forward(x)
        out: Tensor = _Pointwise.apply(x, self.weight, self.bias)
        return out


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        out = multiply(weight.flatten(1), x.flatten(2))
        if bias is not None:
            out += bias[:, None]
        return out.unflatten(2, x.shape[2:])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous()
        slopes, of_x, of_bias = grad.flatten(2), None, None
        if ctx.needs_input_grad[0]:
            of_x = multiply(weight.flatten(1).T, slopes).unflatten(2, x.shape[2:])
        if ctx.needs_input_grad[2]:
            of_bias = slopes.sum((0, 2))
        return of_x, outer(slopes, x.flatten(2)).view_as(weight), of_bias


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    conv, norm = conv_bn(inputs, outputs, 1, stride)
    if stride > 1 and inputs < NARROW:
        conv = _DropFirst(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(conv, norm)


class _DropFirst(nn.Conv2d):
    """A strided 1x1 convolution that drops pixels before it multiplies.

    The backward pass of a strided convolution in oneDNN writes beyond its memory if a channels-last map is narrower
    than a vector register (uxlfoundation/oneDNN#6035, in torch 2.13 and 2.14). It crashes or corrupts memory
    silently.
    """

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.stride
        return functional.conv2d(x[:, :, ::rows, ::columns], self.weight)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al., CVPR 2016).

    Turns ``(B, inputs, H, W)`` into ``(B, outputs, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_bn(inputs, outputs, 3, stride)
        self.conv2, self.bn2 = conv_bn(outputs, outputs)
        self.downsample = _shortcut(inputs, outputs, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with a shortcut (He et al., CVPR 2016).

    Turns ``(B, inputs, H, W)`` into ``(B, 4 * width, ceil(H / stride), ceil(W / stride))``. Stride and dilation are
    those of the 3x3 convolution.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1, self.bn1 = conv_bn(inputs, width, 1)
        self.conv2, self.bn2 = conv_bn(width, width, 3, stride, dilation)
        self.conv3, self.bn3 = conv_bn(width, outputs, 1)
        self.downsample = _shortcut(inputs, outputs, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + self.downsample(x))


def init_from_scratch(network: nn.Module) -> None:
    """Initialises convolutions Kaiming-normal (fan out, ReLU), and batch norms with weight 1 and bias 0.

    Weights are drawn from torch's global generator. On the meta device nothing is drawn: there are no values, and
    torch would import its compiler.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def join(tensors: Sequence[Tensor]) -> Tensor:
    """Returns `torch.cat` of tensors along the first dimension, for parameters of many small modules.

    In the backward pass all get their part of the gradient in one call.
    """
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        joined: Tensor = _Join.apply(*tensors)
        return joined
    return torch.cat(list(tensors))


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        ctx.sizes = [len(x) for x in tensors]
        return torch.cat(tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        return grad.contiguous().split(ctx.sizes)
