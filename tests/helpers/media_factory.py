"""Small media files for tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

CLOCK = Fraction(1, 1000)


def write_video(
    path: Path,
    frames: np.ndarray,
    fps: int = 25,
    audio: np.ndarray | None = None,
    rate_hz: int = 16_000,
    codec: str = "libx264",
    audio_codec: str = "aac",
    times_s: np.ndarray | None = None,
    rotation_deg: int = 0,
    audio_start_s: float = 0.0,
    cover: bool = False,
) -> Path:
    """Write ``frames (n, height, width, 3)`` uint8 RGB, with ``audio (samples,)`` or ``(channels, samples)``.

    ``times_s`` gives frames times of their own instead of a fixed rate;
    ``rotation_deg`` (counter-clockwise) is stored as display metadata only;
    ``cover`` marks the picture as a song's cover.
    """
    options = {"movflags": "faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream(codec, rate=fps)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if cover:
            video.disposition = Disposition.attached_pic
        if codec == "libx264":
            video.options = {"preset": "ultrafast", "crf": "12", "g": "10"}
        else:
            video.bit_rate = 8_000_000
        if rotation_deg:
            video.set_display_rotation(rotation_deg)
        clock = Fraction(1, fps) if times_s is None else CLOCK
        video.codec_context.time_base = clock
        ticks = range(len(frames)) if times_s is None else [round(t / CLOCK) for t in times_s]
        sound = None if audio is None else _sound_stream(container, audio, rate_hz, audio_codec)
        packets = _video_packets(video, frames, ticks, clock)
        if sound is not None:
            packets += _sound_packets(sound, audio, rate_hz, audio_start_s)
        for packet in sorted(packets, key=lambda p: float((p.dts or 0) * p.time_base)):
            container.mux(packet)
    return path


def write_wav(path: Path, signal: np.ndarray, rate_hz: int = 16_000) -> Path:
    """Write ``signal (samples,)`` or ``(channels, samples)`` in [-1, 1] as 16-bit PCM."""
    return write_sound(path, signal, rate_hz, "pcm_s16le")


def write_sound(path: Path, signal: np.ndarray, rate_hz: int, codec: str, start_s: float = 0.0) -> Path:
    """Write ``signal (samples,)``, ``(2, samples)`` or ``(6, samples)`` in the container that the name ends in."""
    with av.open(str(path), "w") as container:
        stream = _sound_stream(container, signal, rate_hz, codec)
        for packet in _sound_packets(stream, signal, rate_hz, start_s):
            container.mux(packet)
    return path


def _sound_stream(container, signal, rate_hz, codec):
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(np.atleast_2d(signal))]
    options = {"b": "256k"} if codec in ("aac", "libmp3lame", "libopus") else {}
    return container.add_stream(codec, rate=rate_hz, layout=layout, options=options)


def _video_packets(stream, frames, ticks, clock):
    packets = []
    for tick, pixels in zip(ticks, frames, strict=True):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = int(tick), clock
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _sound_packets(stream, signal, rate_hz, start_s):
    planes = np.atleast_2d(signal)
    if stream.codec_context.format.name.startswith("s16"):
        planes = np.round(np.clip(planes, -1, 1) * 32767).astype(np.int16)
        stored, block = "s16", np.ascontiguousarray(planes.T).reshape(1, -1)
    else:
        stored, block = "fltp", np.ascontiguousarray(planes, dtype=np.float32)
    size = (stream.codec_context.frame_size or 1024) * (len(planes) if stored == "s16" else 1)
    packets = []
    for begin in range(0, block.shape[1], size):
        part = np.ascontiguousarray(block[:, begin : begin + size])
        frame = av.AudioFrame.from_ndarray(part, format=stored, layout=stream.codec_context.layout.name)
        frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
        frame.pts = round(start_s * rate_hz) + begin // (len(planes) if stored == "s16" else 1)
        packets += stream.encode(frame)
    return packets + stream.encode(None)
