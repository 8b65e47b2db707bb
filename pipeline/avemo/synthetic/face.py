"""One frame: a shaded head with hair, ears, eyes, brows, nose and mouth in a given pose."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from avemo.synthetic.actors import Colour, Look
from avemo.synthetic.canvas import OVERSAMPLING, Canvas, curve, ellipse
from avemo.synthetic.motion import Pose

WHITE: Colour = (226, 224, 220)
DARK: Colour = (28, 20, 20)
EYE_Y, MOUTH_Y, HALF_WIDTH = -0.13, 0.53, 0.74


def draw_face(look: Look, pose: Pose, size_px: int, rng: np.random.Generator) -> np.ndarray:
    """``(size_px, size_px, 3)`` uint8 RGB; ``rng`` makes only the camera's noise."""
    canvas = Canvas(size_px, pose, _wall(look, size_px))
    _back_hair(canvas, look)
    _body(canvas, look)
    _ears(canvas, look)
    canvas.fill(_outline(look, pose), look.skin, 0)
    _stubble(canvas, look)
    _nose(canvas, look, pose)
    for side in (-1, 1):
        _eye(canvas, look, pose, side)
        _brow(canvas, look, pose, side)
    _folds(canvas, pose)
    _mouth(canvas, look, pose)
    _front_hair(canvas, look)
    if look.glasses:
        _glasses(canvas, look)
    return _filmed(canvas.reduced() * _roundness(canvas, [_outline(look, pose), _crown(look)]), rng)


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """``share`` of ``b`` in ``a``."""
    red, green, blue = (round(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


@lru_cache(maxsize=2)
def _wall(look: Look, size_px: int) -> np.ndarray:
    side = size_px * OVERSAMPLING
    light = np.linspace(1.12, 0.85, side)[None, :, None] * np.linspace(1.05, 0.9, side)[:, None, None]
    return np.clip(light * look.wall, 0, 255).astype(np.uint8)


def _outline(look: Look, pose: Pose) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    below = np.clip(y, 0, 1)
    narrow = 1 - (0.36 - 0.30 * (look.jaw_width - 1)) * below**2
    width = HALF_WIDTH * look.head_width * np.sign(x) * np.abs(x) ** 0.88 * narrow
    return np.stack([width, y * (1 + 0.07 * pose.jaw * (below > 0.3))], axis=1)


def _roundness(canvas: Canvas, outlines: list[np.ndarray]) -> np.ndarray:
    """``(size, size, 1)`` light: the head falls off towards its edge, more on the far side."""
    mask = np.zeros(canvas.dark.shape, np.uint8)
    for outline in outlines:
        cv2.fillPoly(mask, [np.round(canvas.placed(outline, 0) / OVERSAMPLING).astype(np.int32)], 255)
    reach = canvas.size_px // 8 * 2 + 1
    soft = cv2.blur(cv2.blur(mask, (reach, reach)), (reach, reach)).astype(np.float32) / 255
    inside = mask.astype(np.float32) / 255
    side = np.linspace(1.06, 0.90, canvas.size_px, dtype=np.float32)[None]
    return (1 - inside + inside * side * (0.62 + 0.48 * soft))[..., None]


def _filmed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    picture = cv2.GaussianBlur(picture, (0, 0), 0.55)
    grain = rng.standard_normal(picture.shape[:2], dtype=np.float32)[..., None] * 2.2
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def _back_hair(canvas: Canvas, look: Look) -> None:
    shaded = mixed(look.hair, DARK, 0.30)
    if look.style == "long":
        falling = np.array([(-0.97, 0.1), (0.97, 0.1), (0.86, 1.35), (-0.86, 1.35)])
        canvas.fill(ellipse(0, 0.05, 0.98 * look.head_width, 1.22), shaded, 0)
        canvas.fill(falling * (look.head_width, 1), shaded, 0)
    elif look.style == "bun":
        canvas.fill(ellipse(0, -1.12, 0.34, 0.28), shaded, 0)
    if look.style in ("short", "parted", "bun"):
        canvas.fill(ellipse(0, -0.28, 0.84 * look.head_width, 0.86), shaded, 0)


def _body(canvas: Canvas, look: Look) -> None:
    neck = np.array([(-0.40, 0.55), (0.40, 0.55), (0.46, 1.5), (-0.46, 1.5)])
    canvas.fill(neck, mixed(look.skin, DARK, 0.22), 0)
    shoulders = np.concatenate(
        [curve((-1.9, 2.4), (-1.7, 1.35), (-0.44, 1.18)), curve((0.44, 1.18), (1.7, 1.35), (1.9, 2.4))]
    )
    canvas.fill(shoulders, look.clothes, 0)
    canvas.fill(ellipse(0, 1.2, 0.45, 0.2), mixed(look.skin, DARK, 0.16), 0)
    canvas.shadow(curve((-0.45, 0.85), (0, 1.35), (0.45, 0.85)), 0.45, 0.1, 0)


def _ears(canvas: Canvas, look: Look) -> None:
    for side in (-1, 1):
        x = side * HALF_WIDTH * look.head_width
        canvas.fill(ellipse(x, 0.02, 0.10, 0.20), mixed(look.skin, (170, 70, 60), 0.12), 0)
        canvas.shadow(curve((x, -0.1), (x + side * 0.09, 0.0), (x, 0.14)), 0.4, 0.04, 0)


def _stubble(canvas: Canvas, look: Look) -> None:
    if look.stubble > 0.04:
        chin = np.concatenate(
            [curve((-0.62, 0.25), (-0.5, 0.95), (0, 0.99)), curve((0, 0.99), (0.5, 0.95), (0.62, 0.25))]
        )
        inner = np.concatenate(
            [curve((0.5, 0.3), (0.25, 0.36), (0, 0.36)), curve((0, 0.36), (-0.25, 0.36), (-0.5, 0.3))]
        )
        canvas.fill(np.concatenate([chin, inner]), mixed(look.skin, look.hair, look.stubble), 0.6)


def _nose(canvas: Canvas, look: Look, pose: Pose) -> None:
    tip, wide = 0.27 * look.nose_length, 0.145 * look.nose_width
    up = 0.035 * max(0.0, pose.axes["wrinkle"])
    ridge = np.concatenate([curve((-0.035, -0.2), (-0.045, 0.1), (-0.02, tip - 0.06))])
    canvas.line(ridge, mixed(look.skin, (255, 246, 236), 0.35), 0.05)
    canvas.fill(ellipse(-0.015, tip - 0.04 - up, 0.07, 0.05), mixed(look.skin, (255, 240, 230), 0.22))
    canvas.shadow(curve((0.085, -0.22), (0.05, 0.05), (wide, tip - 0.02)), 0.36, 0.06)
    canvas.shadow(curve((-0.10, -0.22), (-0.07, 0.0), (-0.09, 0.08)), 0.22, 0.04)
    canvas.shadow(curve((-wide, tip - up), (0, tip + 0.10 - up), (wide, tip - up)), 0.45, 0.05)
    for side in (-1, 1):
        canvas.fill(ellipse(side * wide * 0.52, tip + 0.015 - up, 0.040, 0.020), mixed(look.skin, DARK, 0.72))
        wing = curve(
            (side * wide, tip - 0.10 - up),
            (side * wide * 1.25, tip - up),
            (side * wide * 0.85, tip + 0.02 - up),
        )
        canvas.shadow(wing, 0.5, 0.03)


def _eye(canvas: Canvas, look: Look, pose: Pose, side: int) -> None:
    axes = pose.axes
    x, wide = side * 0.335 * look.eye_distance, 0.165 * look.eye_size
    upper = max(
        0.004, (0.092 + 0.044 * axes["lid"] - 0.016 * max(0.0, axes["squint"])) * look.eye_size * pose.lids
    )
    lower = max(0.004, (0.058 - 0.040 * axes["squint"]) * look.eye_size * (0.35 + 0.65 * pose.lids))
    inner, outer = (x - side * wide, EYE_Y + 0.018), (x + side * wide, EYE_Y - 0.008)
    lid = curve(
        inner, (x - side * 0.06, EYE_Y - 2 * upper), (x + side * 0.09, EYE_Y - 1.7 * upper), outer, n=14
    )
    rim = curve(
        outer, (x + side * 0.06, EYE_Y + 2 * lower), (x - side * 0.06, EYE_Y + 2 * lower), inner, n=14
    )
    painted = canvas.copy()
    painted.fill(ellipse(x, EYE_Y, 0.3, 0.3), WHITE)
    gaze = (x + 0.5 * pose.gaze_x, EYE_Y - 0.012 + 0.3 * pose.gaze_y)
    painted.fill(ellipse(*gaze, 0.082, 0.082), mixed(look.iris, DARK, 0.35))
    painted.fill(ellipse(*gaze, 0.070, 0.070), look.iris)
    painted.fill(ellipse(*gaze, 0.036, 0.036), DARK)
    painted.fill(ellipse(gaze[0] - 0.025, gaze[1] - 0.03, 0.017, 0.017), (250, 250, 250))
    painted.line(np.add(lid, (0, 0.02)), mixed(WHITE, DARK, 0.35), 0.03)
    canvas.clip_into(np.concatenate([lid, rim]), painted)
    canvas.line(rim, mixed(look.skin, (120, 50, 45), 0.40), 0.016)
    canvas.line(lid, mixed(look.skin, DARK, 0.85), 0.030)
    crease = 0.055 * (1 - 0.5 * min(1.0, max(0.0, axes["lid"]))) + 0.02
    canvas.shadow(lid - (0, crease), 0.55, 0.03)
    canvas.shadow(np.add(rim, (0, 0.055)), 0.22 + 0.3 * max(0.0, axes["squint"]), 0.035)
    canvas.shadow(curve((x - side * 0.21, EYE_Y - 0.12), (x - side * 0.2, EYE_Y)), 0.35, 0.08)


def _brow(canvas: Canvas, look: Look, pose: Pose, side: int) -> None:
    axes = pose.axes
    base = EYE_Y - 0.245 * look.brow_height + 0.05 * max(0.0, axes["wrinkle"])
    inner = base + 0.03 - 0.115 * axes["brow_inner"] + 0.03 * max(0.0, axes["brow_knit"])
    outer = base + 0.035 - 0.10 * axes["brow_outer"]
    near, far = 0.155 - 0.05 * axes["brow_knit"], 0.54 * look.eye_distance
    arch = min(inner, outer) - 0.05 + 0.25 * abs(inner - outer)
    heavy = 0.042 * look.brow_weight
    top = curve((near, inner - heavy), (0.33, arch - heavy), (far, outer), n=10)
    bottom = curve((far, outer), (0.33, arch + heavy), (near, inner + heavy), n=10)
    canvas.fill(np.concatenate([top, bottom]) * (side, 1), mixed(look.hair, look.skin, 0.12))
    canvas.shadow(top * (side, 1) + (0, 0.02), 0.25, 0.04)


def _folds(canvas: Canvas, pose: Pose) -> None:
    """What skin does: furrows between the brows and on nose and forehead, folds beside the mouth."""
    axes = pose.axes
    for side in (-1, 1):
        canvas.shadow(curve((side * 0.06, -0.42), (side * 0.05, -0.28)), 0.75 * axes["brow_knit"], 0.03)
        canvas.shadow(curve((side * 0.02, -0.12), (side * 0.11, -0.04)), 0.8 * axes["wrinkle"], 0.03)
        lifted = max(0.0, axes["corner"]) + max(0.0, axes["wrinkle"]) + 0.6 * max(0.0, axes["lip_up"])
        fold = curve((side * 0.19, 0.20), (side * 0.34, 0.33), (side * 0.40, 0.50))
        canvas.shadow(fold, 0.12 + 0.42 * lifted, 0.035)
        down = curve((side * 0.33, 0.60), (side * 0.38, 0.68), (side * 0.36, 0.78))
        canvas.shadow(down, -0.6 * axes["corner"], 0.035)
        canvas.shadow(
            curve((side * 0.35, 0.08), (side * 0.5, 0.12), (side * 0.6, 0.0)), 0.3 * axes["corner"], 0.05
        )
    raised = (max(0.0, axes["brow_inner"]) + max(0.0, axes["brow_outer"])) / 2
    for y in (-0.58, -0.66):
        canvas.shadow(curve((-0.3, y), (0, y - 0.04), (0.3, y)), 0.7 * raised, 0.025)


def _mouth(canvas: Canvas, look: Look, pose: Pose) -> None:
    axes = pose.axes
    press = float(np.clip(axes["press"], 0, 1))
    half = (
        0.265
        * look.mouth_width
        * (1 + 0.20 * axes["stretch"] + 0.12 * max(0.0, axes["corner"]) - 0.12 * pose.jaw)
    )
    corner_y = MOUTH_Y - 0.105 * axes["corner"] + 0.02 * pose.jaw
    gap = 0.14 * pose.jaw * (1 - 0.5 * press) + 0.025 * max(0.0, axes["corner"] + axes["lip_up"] - 0.3)
    raised = MOUTH_Y - 0.055 * max(0.0, axes["lip_up"]) - 0.25 * gap
    lowered = raised + gap
    thick = 0.062 * look.lip_weight * (1 - 0.6 * press)
    left, right = (-half, corner_y), (half, corner_y)
    bend = 0.5 * (corner_y - MOUTH_Y)

    def across(y: float) -> np.ndarray:
        """From corner to corner, passing the middle at ``y``."""
        pull = y + (y - corner_y) / 3 - 0.3 * bend
        return curve(left, (-0.4 * half, pull), (0.4 * half, pull), right, n=20)

    bow = 0.4 * thick * np.exp(-((np.linspace(-1, 1, 20) / 0.16) ** 2))
    upper, lower = across(raised - thick), across(lowered + 1.25 * thick)
    upper[:, 1] += bow
    canvas.fill(np.concatenate([upper, across(raised)[::-1]]), mixed(look.lips, DARK, 0.12))
    canvas.fill(np.concatenate([across(lowered), lower[::-1]]), look.lips)
    if gap > 0.012:
        _mouth_inside(canvas, np.concatenate([across(raised), across(lowered)[::-1]]), raised, lowered, half)
    canvas.line(across(raised), mixed(look.lips, DARK, 0.65), 0.018)
    canvas.line(across(lowered + 0.6 * thick)[7:13], mixed(look.lips, (255, 235, 230), 0.25), 0.02)
    canvas.shadow(np.add(lower[4:16], (0, 0.05)), 0.45, 0.04)
    for side in (-1, 1):
        canvas.shadow(
            curve((side * half, corner_y - 0.02), (side * (half + 0.03), corner_y + 0.02)), 0.55, 0.03
        )


def _mouth_inside(canvas: Canvas, inner: np.ndarray, raised: float, lowered: float, half: float) -> None:
    painted = canvas.copy()
    painted.fill(inner, (62, 24, 28))
    painted.fill(ellipse(0, lowered, 0.5 * half, 0.35 * (lowered - raised)), (140, 62, 66))
    painted.fill(ellipse(0, raised - 0.03, 0.75 * half, 0.03 + 0.38 * (lowered - raised)), (222, 216, 206))
    canvas.clip_into(inner, painted)


def _crown(look: Look) -> np.ndarray:
    """The hair's outer edge, from below the left temple to below the right one."""
    wide = 0.79 * look.head_width
    top = -1.28 * {"cropped": 1.03, "short": 1.12, "parted": 1.16}.get(look.style, 1.12)
    low = {"cropped": -0.30, "long": 0.05}.get(look.style, -0.16)
    return curve((-wide, low), (-1.08 * wide, top), (1.08 * wide, top), (wide, low), n=24)


def _front_hair(canvas: Canvas, look: Look) -> None:
    crown = _crown(look)
    wide, low = 0.79 * look.head_width, crown[0, 1]
    line_y = {"short": -0.68, "parted": -0.60, "cropped": -0.74}.get(look.style, -0.62)
    part = {"short": 0.05, "parted": 0.34, "cropped": 0.0}.get(look.style, -0.14)
    right = curve((wide * 0.93, low), (wide * 0.90, line_y + 0.02), (part, line_y - 0.10), n=12)
    left = curve((part, line_y - 0.10), (-wide * 0.90, line_y + 0.02), (-wide * 0.93, low), n=12)
    fringe = np.concatenate([right, left])
    colour = mixed(look.hair, look.skin, 0.30) if look.style == "cropped" else look.hair
    canvas.fill(np.concatenate([crown, fringe]), colour, 0.15)
    _strands(canvas, crown, fringe, colour)
    canvas.shadow(np.add(fringe[4:-4], (0, 0.03)), 0.35, 0.05, 0.15)


def _strands(canvas: Canvas, crown: np.ndarray, fringe: np.ndarray, colour: Colour) -> None:
    """Lighter and darker hairs from the parting to the crown's edge."""
    root = fringe[11]
    for i, end in enumerate(crown[2:-2]):
        bow = (root + end) / 2 + (0.0, -0.22)
        tone, share = (((255, 236, 205), 0.13), (DARK, 0.22), (DARK, 0.10))[i % 3]
        hair = curve((root[0], root[1]), (bow[0], bow[1]), (0.97 * end[0], 0.97 * end[1]), n=8)
        canvas.line(hair[1 + i % 2 :], mixed(colour, tone, share), 0.022, 0.15)


def _glasses(canvas: Canvas, look: Look) -> None:
    frame = (46, 40, 44)
    for side in (-1, 1):
        x = side * 0.335 * look.eye_distance
        ring = ellipse(x, EYE_Y + 0.02, 0.245, 0.19)
        canvas.line(np.concatenate([ring, ring[:1]]), frame, 0.028)
        canvas.line(
            np.array([(x + side * 0.245, EYE_Y), (side * HALF_WIDTH * 0.95, EYE_Y - 0.05)]), frame, 0.028, 0.6
        )
    canvas.line(curve((-0.1, EYE_Y), (0, EYE_Y - 0.05), (0.1, EYE_Y)), frame, 0.028)
