"""A forward pass of wav2vec 2.0 over sound of any length, without padding, in little memory.

What it computes is transformers' ``Wav2Vec2Model`` of the layer-norm form, or HuBERT and UniSpeech-SAT in that
form; their hidden states are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Keep = Callable[[int, "Tensor"], None]
"""Takes the frames ``(frames, dim)`` that leave a layer, as soon as there are any: 0 is what enters the first,
`FINAL` what leaves the network. They may be overwritten afterwards."""
FINAL = -1

WINDOW, STEP = 400, 320
"""Samples that one frame sees, and from one frame to the next: 25 and 20 ms."""
CONVOLVED_FRAMES = 250
ATTENDING_FRAMES = 1500


def frame_count(samples: int) -> int:
    """Frames of so many samples, ⌊(n - 400) / 320⌋ + 1; none if there is no full window.

    >>> frame_count(16_000), frame_count(80_000), frame_count(399)
    (49, 249, 0)
    """
    return max(0, (samples - WINDOW) // STEP + 1)


class Encoder:
    """A network's forward pass for inference: a signal of any length to its hidden frames.

    The convolutions run in blocks of 5 s, as matrix products over frames in storage order. In a transformer
    layer 30 s at a time attend to everything, so that its widest products are never held for all frames.
    """

    def __init__(self, model: Any, device: Any, dtype: Any):
        from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

        position = getattr(model.encoder.pos_conv_embed, "conv", None)
        if position is not None and is_parametrized(position, "weight"):
            remove_parametrizations(position, "weight")
        self._model = model.to(device, dtype)
        self._device, self._dtype = device, dtype
        self._convolve = Convolutions(model.feature_extractor)
        self.dim: int = model.config.hidden_size

    def __call__(self, signal: Tensor, keep: Keep) -> None:
        """``(samples,)``, at least 400 of them, to ``(frames, dim)`` of each layer."""
        import torch

        with torch.inference_mode():
            encoder = self._model.encoder
            projected = self._model.feature_projection(
                self._convolve(signal.to(self._device, self._dtype))[None]
            )
            x_BTD = projected[0] if isinstance(projected, tuple) else projected
            x_TD = (x_BTD + encoder.pos_conv_embed(x_BTD))[0]
            keep(0, x_TD)
            for number, layer in enumerate(encoder.layers, start=1):
                _transform(layer, x_TD)
                keep(number, x_TD)
            keep(FINAL, encoder.layer_norm(x_TD))


class Convolutions:
    """The layers of a ``feature_extractor`` whose every convolution has a layer norm."""

    def __init__(self, feature_extractor: Any):
        self._layers = [_as_products(layer) for layer in feature_extractor.conv_layers]
        spans = [(*layer.conv.kernel_size, *layer.conv.stride) for layer in feature_extractor.conv_layers]
        self.window, self.step = window_and_step(spans)

    def __call__(self, signal: Tensor) -> Tensor:
        """``(samples,)`` to ``(frames, channels)``; a frame sees its own samples alone, so blocks are exact."""
        import torch

        blocks = []
        frames = (len(signal) - self.window) // self.step + 1
        for begin in range(0, frames, CONVOLVED_FRAMES):
            end = min(begin + CONVOLVED_FRAMES, frames)
            x_TC = signal[begin * self.step : (end - 1) * self.step + self.window][:, None]
            for convolve in self._layers:
                x_TC = convolve(x_TC)
            blocks.append(x_TC)
        return torch.cat(blocks)


def window_and_step(spans: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Samples that a frame sees, and from one frame to the next, of convolutions of these kernels and strides.

    >>> window_and_step([(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)])
    (400, 320)
    """
    window, step = 1, 1
    for kernel, stride in spans:
        window += (kernel - 1) * step
        step *= stride
    return window, step


def _transform(layer: Any, x_TD: Tensor) -> None:
    """One of transformers' ``Wav2Vec2EncoderLayerStableLayerNorm`` on ``(time, channels)``, in place."""
    from torch.nn.functional import scaled_dot_product_attention

    attention = layer.attention

    def heads(y_TD: Tensor) -> Tensor:
        return y_TD.unflatten(-1, (attention.num_heads, attention.head_dim)).transpose(0, 1)[None]

    normed_TD = layer.layer_norm(x_TD)
    k_BHTE, v_BHTE = heads(attention.k_proj(normed_TD)), heads(attention.v_proj(normed_TD))
    parts = zip(x_TD.split(ATTENDING_FRAMES), normed_TD.split(ATTENDING_FRAMES), strict=True)
    for rows_TD, asking_TD in parts:
        q_BHTE = heads(attention.q_proj(asking_TD))
        found_BHTE = scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE)
        rows_TD += attention.out_proj(found_BHTE[0].transpose(0, 1).flatten(1))
        rows_TD += layer.feed_forward(layer.final_layer_norm(rows_TD))
        if getattr(layer, "adapter_layer", None) is not None:
            rows_TD += layer.adapter_layer(rows_TD)


def _as_products(layer: Any) -> Any:
    """One convolution with its layer norm and activation on ``(time, channels)``, as products of strided views.

    ``stride`` neighbouring taps of a kernel read one row of ``(time / stride,
    stride × channels)``, so a kernel of ``k`` taps is ⌈k / stride⌉ products,
    and nothing is transposed or copied. Raises nothing; ``layer`` is one of
    transformers' ``Wav2Vec2LayerNormConvLayer``.
    """
    import torch
    from torch.nn.functional import linear

    conv: Any = layer.conv
    norm: Any = layer.layer_norm
    (kernel,), (stride,) = conv.kernel_size, conv.stride
    taps_OCK = conv.weight.detach()
    products = [
        taps_OCK[:, :, first : first + stride].transpose(1, 2).flatten(1).contiguous()
        for first in range(0, kernel, stride)
    ]

    def convolve(x_TC: Tensor) -> Tensor:
        channels = x_TC.shape[1]
        frames = (len(x_TC) - kernel) // stride + 1
        y: Tensor | None = None
        for number, weight in enumerate(products):
            size, step = (frames, weight.shape[1]), (stride * channels, 1)
            rows = torch.as_strided(x_TC[number * stride :], size, step)
            y = linear(rows, weight, conv.bias) if y is None else y.addmm_(rows, weight.T)
        return layer.activation(norm(y))

    return convolve
