"""Small media files for tests."""

from __future__ import annotations

from contextlib import ExitStack
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
    pixels: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write ``frames (n, height, width, 3)`` uint8 RGB, with ``audio (samples,)`` or ``(channels, samples)``.

    ``times_s`` gives frames times of their own instead of a fixed rate;
    ``rotation_deg`` (counter-clockwise) is stored as display metadata only;
    ``cover`` marks the picture as a song's cover; ``pixels`` says how much wider than high a pixel is.
    """
    flags = {"movflags": "faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=flags) as container:
        video = container.add_stream(codec, rate=fps)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if cover:
            video.disposition = Disposition.attached_pic
        if codec == "libx264":
            video.options = {"preset": "ultrafast", "crf": "12", "g": "10"}
        else:
            video.bit_rate = 8_000_000
        video.options = video.options | (options or {})
        if pixels:
            video.codec_context.sample_aspect_ratio = pixels
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


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Give an MP4's picture a display matrix ``(a, b, c, d)``: x' = a x + c y, y' = b x + d y."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    for place, value in zip((0, 4, 12, 16), matrix, strict=True):
        content[at + place : at + place + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(content)


def restamped(source: Path, target: Path, times_s: np.ndarray) -> None:
    """Copy a video's packets into another container, with these times in milliseconds' steps."""
    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        packets = [packet for packet in read.demux(video=0) if packet.size]
        for packet, time_s in zip(packets, times_s, strict=True):
            packet.stream, packet.time_base = stream, CLOCK
            packet.pts = packet.dts = round(time_s / CLOCK)
            write.mux(packet)


def muxed(target: Path, *sources: Path, default: tuple[int, ...] = ()) -> Path:
    """All streams of several files in one; those of the numbers in ``default``, and no others, are flagged so."""
    with ExitStack() as opened:
        read = [opened.enter_context(av.open(str(source))) for source in sources]
        write = opened.enter_context(av.open(str(target), "w"))
        packets = []
        for container in read:
            streams = {stream.index: write.add_stream_from_template(stream) for stream in container.streams}
            packets += [(packet, streams[packet.stream.index]) for packet in container.demux() if packet.size]
        for number, stream in enumerate(write.streams):
            stream.disposition = Disposition.default if number in default else Disposition(0)
        for packet, stream in sorted(packets, key=lambda pair: float((pair[0].dts or 0) * pair[0].time_base)):
            packet.stream = stream
            write.mux(packet)
    return target


def _sound_stream(container, signal, rate_hz, codec):
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(np.atleast_2d(signal))]
    options = {"b": "256k"} if codec in ("aac", "libmp3lame", "libopus") else {}
    options |= {"b": "64k"} if codec == "wmav2" else {}
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
