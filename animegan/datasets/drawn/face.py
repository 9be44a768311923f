"""One anime-style face: its random features, and how they are painted from back to front."""

import math
import random

from animegan.datasets.drawn.pen import INK, Pen, Point, hsv, mix, smooth

_HAIR = (  # hue, saturation, value
    (0.02, 0.68, 0.80), (0.06, 0.60, 0.42), (0.08, 0.48, 0.58), (0.10, 0.42, 0.90),
    (0.13, 0.50, 0.97), (0.12, 0.22, 0.95), (0.07, 0.65, 0.86), (0.70, 0.30, 0.22),
    (0.05, 0.35, 0.20), (0.62, 0.15, 0.88), (0.72, 0.12, 0.78), (0.60, 0.55, 0.86),
    (0.64, 0.65, 0.52), (0.54, 0.45, 0.88), (0.49, 0.48, 0.82), (0.40, 0.45, 0.62),
    (0.75, 0.45, 0.72), (0.79, 0.50, 0.50), (0.93, 0.42, 0.96), (0.97, 0.60, 0.86),
)  # fmt: skip


class Face:
    """The random features of one face, in units of the picture's side."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.turn = rng.gauss(0, 0.022)  # sideways shift of the features: where the head turns
        self.half = rng.uniform(0.255, 0.3)  # half the width of the face
        self.chin = rng.uniform(0.815, 0.87)
        self.jaw = rng.uniform(0.5, 0.66)  # 1: square, 0: pointed

        tan, light = rng.betavariate(0.8, 5), rng.gauss(0, 0.015)
        self.skin = hsv(0.065 + rng.gauss(0, 0.012), 0.09 + 0.42 * tan, 1.0 - 0.42 * tan + light)
        self.skin_shade = mix(self.skin, (196, 96, 110), 0.34)

        hue, vivid, value = rng.choice(_HAIR)
        self.hair_hue = hue + rng.gauss(0, 0.02)
        self.hair = hsv(self.hair_hue, vivid + rng.gauss(0, 0.07), value + rng.gauss(0, 0.05))
        self.hair_shade = mix(self.hair, hsv(self.hair_hue - 0.06, 0.75, 0.25), 0.38)
        self.hair_light = mix(self.hair, (255, 255, 255), rng.uniform(0.3, 0.5))
        self.hair_ink = mix(self.hair, INK, 0.68)

        same = rng.random() < 0.35
        hue = self.hair_hue if same else rng.choice((0.0, 0.08, 0.12, 0.35, 0.5, 0.58, 0.62, 0.78))
        self.iris = hsv(hue + rng.gauss(0, 0.02), rng.uniform(0.5, 0.95), rng.uniform(0.6, 0.95))
        self.eye_y = rng.uniform(0.56, 0.6)
        self.eye_gap = rng.uniform(0.128, 0.148)
        self.eye_wide = rng.uniform(0.072, 0.09)
        self.eye_tall = rng.uniform(0.078, 0.116)
        self.eye_slant = rng.gauss(0.004, 0.012)
        self.gaze = rng.gauss(0, 0.008)
        self.blink = rng.choices(("open", "wink", "closed"), (0.92, 0.04, 0.04))[0]

        self.back = rng.choice(("long", "long", "wavy", "bob", "short", "tails", "spiky"))
        self.bangs = rng.choice(("straight", "zigzag", "parted", "swept", "thin", "curtain"))
        self.cloth = hsv(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.25, 0.95))
        self.trim = hsv(rng.random(), rng.uniform(0.3, 0.9), rng.uniform(0.6, 1))
        self.middle = 0.5 + self.turn * 0.5  # of the head; the features sit at `front`
        self.front = 0.5 + self.turn * 2

    def draw(self, pen: Pen) -> None:
        """Paint the face, from back to front."""
        self._back_hair(pen)
        self._body(pen)
        self._head(pen)
        self._eyes(pen)
        self._mouth(pen)
        self._front_hair(pen)
        self._ornament(pen)

    def _back_hair(self, pen: Pen) -> None:
        x, wide, rng = self.middle, self.half + 0.06 + self.rng.gauss(0, 0.012), self.rng
        low = {"long": 1.2, "wavy": 1.2, "bob": 0.86, "short": 0.7, "tails": 0.72, "spiky": 0.74}
        end = low[self.back] + rng.uniform(-0.03, 0.03)
        skull = [(x - wide, 0.42), (x - wide * 0.8, 0.17), (x, 0.05), (x + wide * 0.8, 0.17)]
        if self.back == "tails":
            for s in (-1, 1):
                root, out = x + s * wide * 0.86, x + s * (wide + rng.uniform(0.1, 0.17))
                tail = [(root, 0.2), (out, 0.24), (out + s * 0.06, 0.6), (out, 1.0),
                        (out - s * 0.1, 1.12), (out - s * 0.13, 0.6)]  # fmt: skip
                pen.fill(smooth(tail), self.hair, self.hair_ink)
                pen.line(smooth(tail[1:4], closed=False), self.hair_shade, 0.012)
        if self.back == "spiky":
            rim: list[Point] = []
            count = rng.randint(9, 13)
            for k in range(count + 1):
                a = math.pi * (1.14 - 1.28 * k / count) + rng.gauss(0, 0.03)
                far = 1.12 + rng.uniform(0.1, 0.24)
                b = a - math.pi * 0.64 / count
                rim.append((x + wide * far * math.cos(a), 0.42 - 0.37 * far * math.sin(a)))
                rim.append((x + wide * 1.02 * math.cos(b), 0.42 - 0.37 * 1.02 * math.sin(b)))
            pen.fill([*rim, (x + wide * 0.7, end), (x - wide * 0.7, end)],
                     self.hair_shade, self.hair_ink)  # fmt: skip
            return
        flare = (
            rng.uniform(0.0, 0.08) if self.back in ("long", "wavy") else rng.uniform(-0.04, 0.03)
        )
        right = [(x + wide, 0.42), (x + wide + flare * 0.5, 0.65), (x + wide + flare, end)]
        left = [(2 * x - px, py) for px, py in reversed(right)]
        if self.back == "wavy":
            bump = rng.uniform(0.025, 0.05)
            right = [(x + wide + flare + bump * (-1) ** k, 0.42 + 0.13 * k) for k in range(7)]
            left = [(2 * x - px, py) for px, py in reversed(right)]
        hem = [(x + wide * 0.5, end + 0.02), (x, end - 0.03), (x - wide * 0.5, end + 0.02)]
        pen.fill(smooth([*skull, *right, *hem, *left]), self.hair_shade, self.hair_ink)

    def _body(self, pen: Pen) -> None:
        x, rng = self.middle - self.turn * 0.5, self.rng
        neck = [(x - 0.085, 0.7), (x + 0.085, 0.7), (x + 0.095, 1.0), (x - 0.095, 1.0)]
        pen.fill(neck, self.skin_shade, mix(self.skin_shade, INK, 0.5))
        slope = rng.uniform(0.0, 0.05)
        body = [(x - 0.1, 0.91), (x - 0.36, 0.98 + slope), (x - 0.5, 1.3), (x + 0.5, 1.3),
                (x + 0.36, 0.98 + slope), (x + 0.1, 0.91),
                (x, rng.uniform(0.95, 1.04))]  # fmt: skip
        pen.fill(body, self.cloth, mix(self.cloth, INK, 0.7))
        style = rng.choice(("plain", "collar", "ribbon", "choker"))
        if style == "collar":
            for s in (-1, 1):
                flap = [(x + s * 0.09, 0.89), (x + s * 0.22, 0.97), (x + s * 0.05, 1.05)]
                pen.fill(flap, mix(self.trim, (255, 255, 255), 0.75), INK)
        elif style == "ribbon":
            for s in (-1, 1):
                bow = [(x, 0.96), (x + s * 0.13, 0.92), (x + s * 0.15, 1.02)]
                pen.fill(bow, self.trim, mix(self.trim, INK, 0.6))
        elif style == "choker":
            pen.line([(x - 0.09, 0.915), (x + 0.09, 0.915)], mix(self.trim, INK, 0.5), 0.03)

    def _head(self, pen: Pen) -> None:
        x, front, half, chin, jaw = self.middle, self.front, self.half, self.chin, self.jaw
        ink = mix(self.skin_shade, INK, 0.6)
        for s in (-1, 1):
            pen.oval(x + s * half * 0.98, 0.585, 0.035, 0.06, self.skin_shade)
        outline = [(x - half * 0.9, 0.28), (x - half, 0.5), (x - half * 0.9, 0.66),
                   (front - half * jaw, chin - 0.075), (front, chin),
                   (front + half * jaw, chin - 0.075), (x + half * 0.9, 0.66),
                   (x + half, 0.5), (x + half * 0.9, 0.28), (x, 0.14)]  # fmt: skip
        pen.fill(smooth(outline), self.skin, ink)
        blush = mix(self.skin, (240, 110, 120), self.rng.uniform(0.05, 0.45))
        for s in (-1, 1):
            pen.oval(front + s * half * 0.6, self.eye_y + 0.115, 0.052, 0.024, blush)
        nose = self.eye_y + (chin - self.eye_y) * 0.47
        pen.line([(front, nose), (front + 0.008 + self.turn * 0.2, nose + 0.016)], ink, 0.009)

    def _eyes(self, pen: Pen) -> None:
        lift, bend = self.rng.gauss(0, 0.012), self.rng.gauss(0, 0.014)
        sharp = self.rng.random() < 0.5
        for s in (-1, 1):
            near = 1 - s * self.turn * 4  # the eye on the far side is narrower
            x = self.front + s * self.eye_gap * (1 - s * self.turn * 2)
            shut = self.blink == "closed" or (self.blink == "wink" and s == 1)
            self._eye(pen, x, s, self.eye_wide * near, shut, sharp)
            y = self.eye_y - self.eye_tall - 0.045 + lift
            brow = [(x - s * 0.06, y + bend), (x, y - 0.014), (x + s * 0.075, y + 0.006 - bend)]
            pen.line(smooth(brow, closed=False), self.hair_ink, 0.012)

    def _eye(self, pen: Pen, x: float, s: int, wide: float, shut: bool, sharp: bool) -> None:
        y, tall, tilt = self.eye_y, self.eye_tall, self.eye_slant
        inner, outer = (x - s * wide, y + tilt), (x + s * wide, y - tilt)
        lash = mix(self.hair_ink, INK, 0.7)
        if shut:
            lid = [inner, (x, y + 0.035), outer]
            pen.line(smooth(lid, closed=False), lash, 0.022)
            return
        top = [(x - s * wide * 0.55, y - tall * 0.8), (x + s * wide * 0.35, y - tall * 0.86)]
        low = [(x + s * wide * 0.6, y + tall * 0.72), (x - s * wide * 0.5, y + tall * 0.76)]
        pen.fill(smooth([inner, *top, outer, *low]), (250, 248, 252))
        px, rx, ry = x + self.gaze, wide * 0.66, tall * 0.84
        pen.oval(px, y, rx, ry, mix(self.iris, (20, 10, 40), 0.62))
        pen.oval(px, y + ry * 0.1, rx * 0.86, ry * 0.86, self.iris)
        pen.oval(px, y + ry * 0.42, rx * 0.6, ry * 0.48, mix(self.iris, (255, 255, 255), 0.42))
        pen.oval(px, y - ry * 0.02, rx * 0.42, ry * 0.46, mix(self.iris, (10, 0, 25), 0.8))
        pen.oval(px - rx * 0.34, y - ry * 0.42, rx * 0.36, ry * 0.27, (255, 255, 255))
        pen.oval(px + rx * 0.4, y + ry * 0.5, rx * 0.17, ry * 0.13, (255, 255, 255))
        wing = [outer, (x + s * wide * 1.22, y - tilt - 0.02)] if sharp else [outer]
        pen.line(smooth([inner, *top, *wing], closed=False), lash, 0.026)
        pen.line(smooth([outer, *low], closed=False), mix(lash, self.skin, 0.35), 0.008)

    def _mouth(self, pen: Pen) -> None:
        rng, x, y = self.rng, self.front, self.eye_y + (self.chin - self.eye_y) * 0.7
        w, ink = rng.uniform(0.025, 0.065), mix(self.skin_shade, (90, 20, 40), 0.7)
        style = rng.choice(("smile",) * 3 + ("open",) * 2 + ("flat", "frown", "cat", "small"))
        if style == "open":
            deep = rng.uniform(0.03, 0.07)
            shape = [(x - w, y - 0.01), (x, y - 0.004), (x + w, y - 0.01), (x, y + deep)]
            pen.fill(smooth(shape), (168, 52, 66), ink)
            pen.oval(x, y + deep * 0.6, w * 0.4, deep * 0.25, (236, 128, 132))
        elif style == "small":
            pen.oval(x, y, w * 0.35, w * 0.3, (186, 70, 80))
        elif style == "cat":
            points = [(x - w, y - 0.012), (x - w / 2, y + 0.01), (x, y - 0.008),
                      (x + w / 2, y + 0.01), (x + w, y - 0.012)]  # fmt: skip
            pen.line(smooth(points, closed=False), ink, 0.011)
        else:
            bow = {"smile": 0.022, "flat": 0.0, "frown": -0.016}[style]
            curve = [(x - w, y - bow / 2), (x, y + bow / 2), (x + w, y - bow / 2)]
            pen.line(smooth(curve, closed=False), ink, 0.012)

    def _front_hair(self, pen: Pen) -> None:
        rng, x, wide = self.rng, self.middle, self.half + 0.045
        depth = self.eye_y - self.eye_tall * rng.uniform(0.15, 0.9)  # where the tips end
        tips = {"straight": 9, "zigzag": 6, "parted": 6, "swept": 6, "thin": 3, "curtain": 2}
        count = tips[self.bangs] + rng.randint(0, 2)
        part = x + rng.uniform(-0.09, 0.09)
        lean = rng.choice((-1, 1)) * rng.uniform(0.25, 0.7)
        lower: list[Point] = []
        for k in range(count):
            at = (k + 0.5) / count * 2 - 1  # -1: left temple, 1: right temple
            tip, gap = depth, depth - 0.1
            if self.bangs == "straight":
                gap = depth - 0.022
            elif self.bangs in ("parted", "curtain"):
                open_ = math.exp(-(((x + at * wide - part) / 0.09) ** 2))
                tip -= 0.2 * open_
                gap = tip - 0.07
            elif self.bangs == "swept":
                tip -= 0.09 * (1 + at * math.copysign(1, lean))
                gap = tip - 0.09
            tip += rng.gauss(0, 0.016)
            shift = lean * 0.07 if self.bangs in ("swept", "zigzag", "thin") else 0.0
            lower.append((x + at * wide * 0.94 + shift, tip))
            if k < count - 1:
                lower.append((x + (at + 1 / count) * wide * 0.94 + shift * 0.4, gap))
        crown = [(x + wide, 0.5), (x + wide * 0.94, 0.28), (x + wide * 0.55, 0.1), (x, 0.045),
                 (x - wide * 0.55, 0.1), (x - wide * 0.94, 0.28), (x - wide, 0.5)]  # fmt: skip
        for s in (-1, 1):
            self._side_lock(pen, x + s * wide, s)
        shadow = [(px, py + 0.03) for px, py in lower]
        if self.bangs not in ("thin", "curtain"):
            pen.fill([(x - wide * 0.84, 0.4), *shadow, (x + wide * 0.84, 0.4)], self.skin_shade)
        ends = [(x - wide * 0.9, 0.46), *lower, (x + wide * 0.9, 0.46)]
        pen.fill([*ends, *smooth(crown, closed=False)], self.hair, self.hair_ink)
        self._shine(pen, x, wide)
        for px, py in lower[1 :: 4 if self.bangs == "straight" else 2]:
            root = (x + (px - x) * 0.6, py - rng.uniform(0.09, 0.2))
            middle = ((px + root[0]) / 2 + 0.012 * math.copysign(1, px - x), (py + root[1]) / 2)
            pen.line(smooth([root, middle, (px, py)], closed=False), self.hair_shade, 0.009)

    def _shine(self, pen: Pen, x: float, wide: float) -> None:
        y, thick, jag = 0.2 + self.rng.uniform(-0.02, 0.05), self.rng.uniform(0.02, 0.045), 11
        upper = [(x + (k / jag - 0.5) * 1.4 * wide, y + 0.12 * (k / jag * 2 - 1) ** 2)
                 for k in range(jag + 1)]  # fmt: skip
        under = [(px, py + thick * (1.3 if k % 2 else 0.5)) for k, (px, py) in enumerate(upper)]
        pen.fill([*smooth(upper, closed=False), *reversed(under)], self.hair_light)

    def _side_lock(self, pen: Pen, x: float, s: int) -> None:
        low = self.eye_y + self.rng.uniform(0.1, 0.42) * (0.5 if self.back == "short" else 1)
        lock = [(x - s * 0.02, 0.3), (x + s * 0.02, 0.5), (x + s * 0.01, (0.5 + low) / 2),
                (x - s * 0.05, low), (x - s * 0.05, (0.5 + low) / 2),
                (x - s * 0.075, 0.5)]  # fmt: skip
        pen.fill(smooth(lock), self.hair, self.hair_ink)

    def _ornament(self, pen: Pen) -> None:
        rng, x, ink = self.rng, self.middle, mix(self.trim, INK, 0.6)
        kind = rng.choice(("none",) * 6 + ("clip", "band", "ribbon", "ears", "glasses"))
        s = rng.choice((-1, 1))
        if kind == "clip":
            for k in range(rng.randint(1, 3)):
                cx, cy = x + s * self.half * 0.75, 0.3 + 0.04 * k
                pen.line([(cx - 0.035, cy), (cx + 0.035, cy - 0.02)], self.trim, 0.022)
        elif kind == "band":
            arc = [(x - self.half, 0.26), (x - 0.15, 0.13), (x, 0.105), (x + 0.15, 0.13),
                   (x + self.half, 0.26)]  # fmt: skip
            pen.line(smooth(arc, closed=False), self.trim, rng.uniform(0.025, 0.05))
        elif kind == "ribbon":
            cx, cy = x + s * self.half * 0.7, 0.16
            for t in (-1, 1):
                bow = [(cx, cy), (cx + t * 0.13, cy - 0.08), (cx + t * 0.14, cy + 0.06)]
                pen.fill(bow, self.trim, ink)
            pen.oval(cx, cy, 0.025, 0.025, ink)
        elif kind == "ears":
            for t in (-1, 1):
                for size, colour in ((1.0, self.hair), (0.6, self.skin_shade)):
                    cx, cy = x + t * self.half * 0.72, 0.13
                    ear = [(cx - 0.085 * size, cy), (cx + t * 0.05, cy - 0.17 * size),
                           (cx + 0.085 * size, cy)]  # fmt: skip
                    pen.fill(ear, colour, self.hair_ink)
        elif kind == "glasses":
            for t in (-1, 1):
                cx, r = self.front + t * self.eye_gap, self.eye_wide + 0.03
                ring = [(cx + r * math.cos(k / 4), self.eye_y + 0.01 + r * 0.85 * math.sin(k / 4))
                        for k in range(26)]  # fmt: skip
                pen.line(ring, ink, 0.011)
            pen.line([(self.front - 0.04, self.eye_y), (self.front + 0.04, self.eye_y)], ink, 0.011)
