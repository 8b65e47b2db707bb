"""A forward pass of wav2vec 2.0 over sound of any length, without padding, in little memory.

What it computes is transformers' ``Wav2Vec2Model`` of the layer-norm form; its last hidden state is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

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
        from torch.nn.utils.parametrize import remove_parametrizations

        remove_parametrizations(model.encoder.pos_conv_embed.conv, "weight")
        self._model = model.to(device, dtype)
        self._device, self._dtype = device, dtype
        self._convolutions = [_as_products(layer) for layer in model.feature_extractor.conv_layers]
        self.dim: int = model.config.hidden_size

    def __call__(self, signal: Tensor) -> Tensor:
        """``(samples,)``, at least 400 of them, to ``(frames, dim)`` float32 on the CPU."""
        import torch

        with torch.inference_mode(), torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
            encoder = self._model.encoder
            x_BTD, _ = self._model.feature_projection(self._convolved(signal)[None])
            x_TD = (x_BTD + encoder.pos_conv_embed(x_BTD))[0]
            for layer in encoder.layers:
                _transform(layer, x_TD)
            return encoder.layer_norm(x_TD).float().cpu()

    def _convolved(self, signal: Tensor) -> Tensor:
        """``(samples,)`` to ``(frames, channels)``; a frame sees its own 400 samples, so blocks are exact."""
        import torch

        blocks = []
        for begin in range(0, frames := frame_count(len(signal)), CONVOLVED_FRAMES):
            end = min(begin + CONVOLVED_FRAMES, frames)
            x_TC = signal[begin * STEP : (end - 1) * STEP + WINDOW].to(self._device, self._dtype)[:, None]
            for convolve in self._convolutions:
                x_TC = convolve(x_TC)
            blocks.append(x_TC)
        return torch.cat(blocks)


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
        if layer.adapter_layer is not None:
            rows_TD += layer.adapter_layer(rows_TD)


def _as_products(layer: nn.Module) -> Any:
    """One convolution with its layer norm and GELU on ``(time, channels)``, as products of strided views.

    ``stride`` neighbouring taps of a kernel read one row of ``(time / stride,
    stride × channels)``, so a kernel of ``k`` taps is ⌈k / stride⌉ products,
    and nothing is transposed or copied. Raises nothing; ``layer`` is one of
    transformers' ``Wav2Vec2LayerNormConvLayer``.
    """
    import torch
    from torch.nn.functional import gelu, linear

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
        return gelu(norm(y))

    return convolve
