"""Anime face detection: animeface 2.0.3, or OpenCV with the user's own cascade."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageDraw

from animegan.core.errors import UsageError
from animegan.core.optional import install, require
from animegan.datasets.faces.animeface import PIP, Pixels, load

Box = tuple[int, int, int, int]
Point = tuple[float, float]

BEST_BOX = 76  # px; animeface finds faces whose box is 55 to 100 px wide, and this width best
_STEP = 1.4  # scale between pyramid levels, so that each face is 64 to 90 px wide on one of them
_BORDER = 16  # px of replicated border; a tight crop leaves no room for the search window
_CUT_OUT_SIDES = (112, 96, 128)  # px, for `has_face`; each finds a few faces that the others miss
_LOOKS = (64, 70, 76, 83, 90)  # px; box widths at which a face is detected again, twice each
_SHIFTS = ((0, 0), (2, 2), (3, 1), (1, 3), (2, 0), (0, 2), (1, 1), (3, 3), (0, 1), (2, 3))


@dataclass(frozen=True)
class Face:
    """A detected face: its box (brows to chin, about as wide as the head) in pixels."""

    box: Box  # x0, y0, x1, y1; may extend beyond the picture
    score: float  # 0 to 1, see `FaceDetector.find`; always 1 from a cascade, which has no score
    eyes: tuple[Point, Point] | None = None  # centres, the one further left in the picture first


class Detector(Protocol):
    """The interface that `prepare` expects of a detector."""

    def find(self, image: Image.Image, smallest: int = 44) -> list[Face]:
        """Return all faces of an RGB picture whose box is at least `smallest` px wide."""


class FaceDetector:
    """animeface 2.0.3, which works offline. It holds the GIL: use processes, not threads.

    The package leaks about 750 bytes per face found: start a new process every few thousand
    pictures. Raises UsageError if the package is missing or does not work here.
    """

    def __init__(self) -> None:
        self._detect = load()
        self_test(self._detect)

    def find(self, image: Image.Image, smallest: int = 44) -> list[Face]:
        """Return all faces whose box is about `smallest` px or wider, best first.

        `image` is an RGB picture of any size. The search runs over an image pyramid whose finest
        level shows the smallest face at the detector's preferred width. Each face found is then
        detected ten more times, at different scales and offsets within the search's 4 px grid, half
        of them mirrored. Box and eyes are the means of these (one detection deviates by 3 % of the
        width, the mean by 1 %); the score is the mean likelihood, with 0 for a missed detection.
        """
        candidates: list[Face] = []
        scale = min(BEST_BOX * 0.85 / smallest, 2.0)
        while True:
            width, height = round(image.width * scale), round(image.height * scale)
            if min(width, height) < 48:
                break
            level = image.resize((width, height), Image.Resampling.LANCZOS)
            pixels = _bordered(level)
            candidates += [_face(raw, scale, (_BORDER, _BORDER)) for raw in self._detect(pixels)]
            scale /= _STEP
        faces = [self._again(image, face) for face in merge(candidates)]
        faces = [face for face in merge(faces) if face.box[2] - face.box[0] >= 0.8 * smallest]
        return sorted(faces, key=lambda face: (-face.score, face.box))

    def _again(self, image: Image.Image, face: Face) -> Face:
        """Detect a face ten more times, and return the mean; the score is 0 if none finds it."""
        x0, y0, x1, y1 = face.box
        half = round(0.75 * (x1 - x0))
        left, top = (x0 + x1) // 2 - half, (y0 + y1) // 2 - half
        patch = Image.fromarray(_region(image, left, top, 2 * half))
        looks: list[Face] = []
        for number, (dx, dy) in enumerate(_SHIFTS):
            scale = _LOOKS[number // 2] / (x1 - x0)
            side = round(2 * half * scale)
            seen = patch.resize((side, side), Image.Resampling.LANCZOS)
            if number % 2:
                seen = seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            edges = ((8 + dy, 8), (8 + dx, 8), (0, 0))
            raws = self._detect(np.pad(np.asarray(seen), edges, mode="edge"))
            views = [_face(raw, scale, (8 + dx, 8 + dy)) for raw in raws]
            if number % 2:
                views = [_mirrored(view, 2 * half) for view in views]
            views = [_moved(view, left, top) for view in views]
            near = [view for view in views if overlap_of(view.box, face.box) > 0.3]
            looks += near[:1]
        if not looks:
            return Face(face.box, 0.0, face.eyes)
        return Face(
            _mean_box(looks), sum(look.score for look in looks) / len(_SHIFTS), _mean_eyes(looks)
        )

    def has_face(self, image: Image.Image) -> bool:
        """Return whether a square crop of 48 to 256 px, RGB or grey, shows a face.

        The crop is resized to 112, 96 and 128 px in turn, sizes at which a face that fills it is
        found, with 16 px of replicated border, until a face is found.
        """
        image = image.convert("RGB")
        for side in _CUT_OUT_SIDES:
            level = image.resize((side, side), Image.Resampling.BICUBIC)
            if self._detect(_bordered(level)):
                return True
        return False


class CascadeDetector:
    """OpenCV's cascade classifier with the user's cascade file; finds no eyes and gives no score.

    `file` is an XML file such as nagadomi's lbpcascade_animeface.xml. Raises UsageError if OpenCV
    is missing or cannot read the file.
    """

    def __init__(self, file: str | Path) -> None:
        cv2 = require("cv2", f"--cascade {file}")
        classifier = getattr(cv2, "CascadeClassifier", None)
        if classifier is None:
            raise UsageError(f"--cascade {file}: needs OpenCV 4; {install('cv2')}")
        if not Path(file).is_file():
            raise UsageError(f"--cascade {file}: no such file")
        try:
            self._cascade = classifier(str(file))
            usable = not self._cascade.empty()
        except (cv2.error, SystemError):
            usable = False
        if not usable:
            raise UsageError(f"--cascade {file}: OpenCV cannot read it as a cascade")
        cv2.setNumThreads(1)  # prepare runs one process per core
        self._equalize = cv2.equalizeHist

    def find(self, image: Image.Image, smallest: int = 44) -> list[Face]:
        """Return all faces whose box is at least `smallest` px wide, largest first."""
        grey = self._equalize(np.asarray(image.convert("L")))
        boxes = self._cascade.detectMultiScale(
            grey, scaleFactor=1.1, minNeighbors=5, minSize=(smallest, smallest)
        )
        faces = [Face((int(x), int(y), int(x + w), int(y + h)), 1.0) for x, y, w, h in boxes]
        return sorted(faces, key=lambda face: (face.box[0] - face.box[2], face.box))


def merge(faces: list[Face], overlap: float = 0.3) -> list[Face]:
    """Merge faces whose boxes overlap (intersection over union) into one each; best first.

    The box is the mean over the group, which is more stable than any single one; score and eyes are
    those of the best member.
    """
    groups: list[list[Face]] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box)):
        home = next((g for g in groups if overlap_of(g[0].box, face.box) > overlap), None)
        if home is None:
            groups.append([face])
        else:
            home.append(face)
    return [Face(_mean_box(group), group[0].score, group[0].eyes) for group in groups]


def overlap_of(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the intersection over union of two boxes, 0 to 1."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def self_test(detect: "Callable[[Pixels], list[dict[str, Any]]] | None" = None) -> None:
    """Run animeface on a drawn face; UsageError unless it finds that face where it is."""
    detect = detect or load()
    faces = detect(np.asarray(drawn_face()))
    boxes = [_face(raw, 1.0, (0, 0)).box for raw in faces]
    if len(boxes) != 1 or overlap_of(boxes[0], (38, 55, 122, 139)) < 0.5:
        raise UsageError(
            "animeface: installed, but does not work: it finds "
            f"{len(faces)} faces in a test picture of one; {PIP}"
        )


def drawn_face(side: int = 160) -> Image.Image:
    """Draw a face out of ellipses, `side` px square, that animeface detects; for tests."""
    picture = Image.new("RGB", (4 * side, 4 * side), (230, 230, 235))
    pen = ImageDraw.Draw(picture)
    unit = 4 * side / 160  # drawn four times as large, then reduced for smooth edges

    def ellipse(x: float, y: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        pen.ellipse([unit * (x - rx), unit * (y - ry), unit * (x + rx), unit * (y + ry)], colour)

    hair, skin, ink = (90, 60, 50), (250, 225, 205), (40, 25, 30)
    ellipse(80, 75, 55, 59, hair)
    ellipse(80, 90, 38, 38, skin)
    fringe = [(40, 45), (120, 45), (118, 70), (95, 62), (85, 70), (70, 62), (42, 70)]
    pen.polygon([(unit * x, unit * y) for x, y in fringe], fill=hair)
    for x in (61, 99):
        ellipse(x, 87, 10, 13, ink)
        ellipse(x, 88, 8, 11, (255, 255, 255))
        ellipse(x, 88, 7, 10, (80, 60, 140))
        ellipse(x, 88, 3, 4, ink)
        ellipse(x - 2, 83, 2, 3, (255, 255, 255))
    mouth = [unit * v for v in (74, 115, 86, 121)]
    pen.arc(mouth, 20, 160, fill=(150, 60, 60), width=round(2 * unit))
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def _bordered(image: Image.Image) -> Pixels:
    edges = ((_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0))
    return np.pad(np.asarray(image), edges, mode="edge")


def _region(image: Image.Image, left: int, top: int, side: int) -> Pixels:
    """Cut a square out of the picture, replicating the edge where the square extends beyond it."""
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + side, image.width), min(top + side, image.height)
    edges = ((y0 - top, top + side - y1), (x0 - left, left + side - x1), (0, 0))
    return np.pad(np.asarray(image.crop((x0, y0, x1, y1))), edges, mode="edge")


def _face(raw: dict[str, Any], scale: float, border: tuple[int, int]) -> Face:
    """Convert animeface's result on a scaled, bordered picture to pixels of the whole picture."""

    def place(x: float, y: float) -> Point:
        return (x - border[0]) / scale, (y - border[1]) / scale

    x, y, width, height = raw["face_box"]
    box = *place(x, y), *place(x + width, y + height)
    eyes = []
    for side in ("right_eye_box", "left_eye_box"):  # the person's right is the picture's left
        ex, ey, ew, eh = raw[side]
        eyes.append(place(ex + ew / 2, ey + eh / 2))
    eyes.sort()
    x0, y0, x1, y1 = (round(v) for v in box)
    return Face((x0, y0, x1, y1), float(raw["likelihood"]), (eyes[0], eyes[1]))


def _mirrored(face: Face, width: int) -> Face:
    """Convert a face found in a mirrored picture to the original's coordinates."""
    x0, y0, x1, y1 = face.box
    eyes = face.eyes and ((width - face.eyes[1][0], face.eyes[1][1]),
                          (width - face.eyes[0][0], face.eyes[0][1]))  # fmt: skip
    return Face((width - x1, y0, width - x0, y1), face.score, eyes)


def _moved(face: Face, dx: int, dy: int) -> Face:
    x0, y0, x1, y1 = face.box
    eyes = face.eyes and ((face.eyes[0][0] + dx, face.eyes[0][1] + dy),
                          (face.eyes[1][0] + dx, face.eyes[1][1] + dy))  # fmt: skip
    return Face((x0 + dx, y0 + dy, x1 + dx, y1 + dy), face.score, eyes)


def _mean_box(faces: list[Face]) -> Box:
    x0, y0, x1, y1 = (round(sum(face.box[i] for face in faces) / len(faces)) for i in range(4))
    return x0, y0, x1, y1


def _mean_eyes(faces: list[Face]) -> tuple[Point, Point] | None:
    pairs = [face.eyes for face in faces if face.eyes is not None]
    if not pairs:
        return None
    (ax, ay), (bx, by) = np.mean(np.array(pairs), axis=0).round(1).tolist()
    return (ax, ay), (bx, by)
