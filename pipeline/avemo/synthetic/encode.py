"""Writing clips: FLV, AVI or MP4 with sound, and 16-bit WAV; a file appears whole or not at all."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from scipy.signal import resample_poly

from avemo.base.atomic import aside

CODECS = {
    "flv": ("flv1", "libmp3lame", 22_050),
    "avi": ("mpeg4", "libmp3lame", 16_000),
    "mp4": ("libx264", "aac", 16_000),
}
"""Per container: picture, sound and the sound's rate (FLV holds MP3 at 11.025, 22.05 or 44.1 kHz only)."""
BIT_RATE = 500_000
OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "flv1": {"qmin": "2", "qmax": "8"},
    "mpeg4": {"qmax": "8"},
}


def write_wav(path: Path, signal: np.ndarray, rate_hz: int) -> None:
    """``signal (samples,)`` in [-1, 1] as 16-bit PCM."""
    with aside(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.round(np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes())


def write_clip(path: Path, frames: np.ndarray, fps: int, signal: np.ndarray, rate_hz: int) -> None:
    """``frames (n, height, width, 3)`` uint8 RGB with ``signal (samples,)``; the suffix names the container."""
    container_format = path.suffix[1:]
    picture_codec, sound_codec, sound_hz = CODECS[container_format]
    with aside(path) as temporary, av.open(str(temporary), "w", format=container_format) as container:
        picture = cast(av.VideoStream, container.add_stream(picture_codec, fps, OPTIONS[picture_codec]))
        picture.height, picture.width = frames.shape[1:3]
        picture.pix_fmt, picture.bit_rate = "yuv420p", BIT_RATE
        picture.codec_context.thread_count = 1
        sound = cast(av.AudioStream, container.add_stream(sound_codec, sound_hz, layout="mono"))
        packets = [*_picture_packets(picture, frames, fps), *_sound_packets(sound, signal, rate_hz, sound_hz)]
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            container.mux(packet)


def _picture_packets(stream: av.VideoStream, frames: np.ndarray, fps: int) -> list[av.Packet]:
    packets: list[av.Packet] = []
    for number, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, fps)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _sound_packets(
    stream: av.AudioStream, signal: np.ndarray, rate_hz: int, sound_hz: int
) -> list[av.Packet]:
    ratio = Fraction(sound_hz, rate_hz)
    moved = resample_poly(signal, ratio.numerator, ratio.denominator).astype(np.float32)
    size = stream.codec_context.frame_size or 1024
    packets: list[av.Packet] = []
    for start in range(0, len(moved), size):
        part = np.ascontiguousarray(moved[None, start : start + size])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sound_hz, start, Fraction(1, sound_hz)
        packets += stream.encode(frame)
    return packets + stream.encode(None)
