"""The classroom of the demo: a drawn room in which people arrive and leave by a script, with sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from simulator.clips import ClipWriter, PicturePlane, SoundSamples, make_yuv_frame

Colour = tuple[int, int, int]
ScenePicture = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 1280, 720
ROWS = ((330, 0.62), (490, 0.82))
"""Upper edge of each row's desks (pixels) and size of the people behind it, back to front."""
COLUMNS = (170, 480, 800, 1110)
ORDER = (5, 2, 7, 0, 6, 1, 4, 3)
"""Seats in the order in which people take them; seat = row * 4 + column."""
SEATS = len(ORDER)
BEATS = 4
BEAT = 0.6
"""Seconds between two small movements of the people, which repeat after BEATS of them."""
SENSOR_NOISE = 1.3
LOUDNESS = 10 ** (-25 / 20)

SceneScript = Sequence[tuple[float, int]]


def make_classroom(
    path: Path,
    script: SceneScript,
    seconds: float,
    fps: int = 25,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    seed: int = 1,
) -> Path:
    """Write `seconds` of class as H.264 with a key frame every 2 s and AAC; return `path`.

    `script` holds (second, number of people from then on), in order; at most SEATS people. `size` other than 1280x720
    scales the picture. Raises ValueError for a script with more people.
    """
    if any(not 0 <= people <= SEATS for _, people in script):
        raise ValueError(f"the room has {SEATS} seats")
    rate = 16000
    noise = _make_sensor_noise(size, seed)
    voice = make_murmur(seconds, rate, seed)
    room = Classroom(size)
    with ClipWriter(path, size, fps, "h264", "aac", rate) as writer:
        for index in range(round(seconds * fps)):
            now = index / fps
            people = next((n for t, n in reversed(script) if t <= now), 0)
            luma, blue, red = room.planes(people, int(now / BEAT) % BEATS)
            writer.picture(make_yuv_frame(luma + noise[index % len(noise)], blue, red))
            writer.sound(voice[round(index * rate / fps) : round((index + 1) * rate / fps)])
    return path


class Classroom:
    """Draw the room; `planes` are cached as long as the number of people stays the same."""

    def __init__(self, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
        self._size = size
        self._room = _draw_room()
        with Image.open(Path(__file__).with_name("assets") / "person.png") as person:
            self._person = person.convert("RGBA")
        self._people = -1
        self._planes: dict[int, tuple[PicturePlane, PicturePlane, PicturePlane]] = {}

    def planes(self, people: int, beat: int) -> tuple[PicturePlane, PicturePlane, PicturePlane]:
        """Return luma and chroma (yuv420p) with that many people, at one beat of their small movements."""
        if people != self._people:
            self._people, self._planes = people, {}
        if beat not in self._planes:
            self._planes[beat] = _to_planes(self.picture(people, beat), self._size)
        return self._planes[beat]

    def picture(self, people: int, beat: int = 0) -> Image.Image:
        """Return an RGB picture, 1280x720."""
        canvas = self._room.copy()
        taken = ORDER[:people]
        for row, (edge, scale) in enumerate(ROWS):
            for seat in sorted(taken):
                if seat // len(COLUMNS) == row:
                    self._seat(canvas, seat, edge, scale, beat)
            _draw_desks(canvas, edge, scale)
        return canvas

    def _seat(self, canvas: Image.Image, seat: int, edge: int, scale: float, beat: int) -> None:
        figure = _dress_figure(self._person, seat)
        size = round(figure.width * scale), round(figure.height * scale)
        figure = figure.resize(size, Image.Resampling.LANCZOS)
        sway = ((seat * 3 + beat) % BEATS - 1.5, (seat + beat) % 2)
        left = COLUMNS[seat % len(COLUMNS)] + (seat * 37) % 23 - 11 - size[0] // 2 + round(sway[0])
        canvas.paste(figure, (left, edge + 12 - size[1] + int(sway[1])), figure)


def _dress_figure(person: Image.Image, seat: int) -> Image.Image:
    """Return the figure for a seat: clothes of another colour, mirrored on every other seat."""
    pixels = np.asarray(person).copy()
    neck = round(person.height * 0.52)
    order = ((0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2), (2, 0, 1), (1, 1, 1), (0, 2, 1), (2, 2, 0))[seat % 8]
    pixels[neck:, :, :3] = pixels[neck:, :, list(order)]
    figure = Image.fromarray(pixels, "RGBA")
    alpha = figure.getchannel("A")
    figure = ImageEnhance.Brightness(figure.convert("RGB")).enhance(0.9 + 0.05 * (seat % 4))
    figure.putalpha(alpha)
    return ImageOps.mirror(figure) if seat % 2 else figure


def _draw_room() -> Image.Image:
    """Draw the wall behind the class as a camera above the blackboard sees it: windows, notice board, door, floor."""
    light = np.linspace(1.08, 0.88, WIDTH)[None, :, None] * np.linspace(1.03, 0.97, HEIGHT)[:, None, None]
    wall = np.full((HEIGHT, WIDTH, 3), (203, 200, 188)) * light
    wall[300:] = np.array((150, 138, 120)) * light[300:]
    image = Image.fromarray(np.clip(wall, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 288, WIDTH, 302), fill=(120, 104, 84))
    for left in (40, 250):
        _draw_window(draw, left)
    _draw_notice_board(draw)
    draw.rectangle((1090, 70, 1215, 300), fill=(134, 96, 62), outline=(92, 64, 40), width=6)
    draw.rectangle((1108, 92, 1196, 170), outline=(108, 76, 48), width=4)
    draw.rectangle((1108, 190, 1196, 284), outline=(108, 76, 48), width=4)
    for x in range(0, WIDTH, 64):
        draw.line((x, 302, (x - WIDTH // 2) * 2 + WIDTH // 2, HEIGHT), fill=(128, 117, 101), width=2)
    for y in (318, 345, 385, 440, 515, 610):
        draw.line((0, y, WIDTH, y), fill=(128, 117, 101), width=2)
    image = image.filter(ImageFilter.GaussianBlur(0.6))
    grain = np.random.default_rng(3).normal(0, 3, (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def _draw_window(draw: ImageDraw.ImageDraw, left: int) -> None:
    draw.rectangle((left, 40, left + 180, 230), fill=(214, 228, 238), outline=(240, 240, 235), width=9)
    draw.polygon(
        [(left + 9, 222), (left + 9, 160), (left + 80, 128), (left + 171, 170), (left + 171, 222)], (122, 150, 112)
    )
    draw.line((left + 90, 40, left + 90, 230), fill=(240, 240, 235), width=7)
    draw.line((left, 120, left + 180, 120), fill=(240, 240, 235), width=7)


def _draw_notice_board(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle((500, 60, 1040, 220), fill=(52, 92, 70), outline=(140, 104, 66), width=8)
    colours: tuple[Colour, ...] = ((236, 232, 214), (226, 208, 150), (206, 220, 232), (232, 200, 190))
    for index in range(9):
        left, top = 524 + index * 56, 82 + (index * 29) % 41
        draw.rectangle((left, top, left + 42, top + 62), fill=colours[index % 4])
        for line in range(5):
            draw.line((left + 6, top + 10 + line * 10, left + 34 - line * 3, top + 10 + line * 10), (110, 110, 110), 2)


def _draw_desks(canvas: Image.Image, edge: int, scale: float) -> None:
    draw = ImageDraw.Draw(canvas)
    half, deep, tall = round(140 * scale), round(26 * scale), round(120 * scale)
    for x in COLUMNS:
        top = [(x - half + 14, edge), (x + half - 14, edge), (x + half, edge + deep), (x - half, edge + deep)]
        draw.polygon(top, fill=(196, 160, 112))
        draw.rectangle((x - half, edge + deep, x + half, edge + deep + tall), fill=(150, 116, 78))
        draw.line((x - half, edge + deep, x + half, edge + deep), fill=(224, 192, 144), width=3)
        draw.rectangle(
            (x - half + 10, edge + deep + 16, x + half - 10, edge + deep + tall - 12), outline=(126, 96, 62), width=3
        )
        draw.polygon(
            [(x + 20, edge + 4), (x + 74, edge + 4), (x + 82, edge + 18), (x + 22, edge + 18)], fill=(238, 236, 228)
        )


def _to_planes(image: Image.Image, size: tuple[int, int]) -> tuple[PicturePlane, PicturePlane, PicturePlane]:
    picture = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    luma, blue, red = picture.convert("YCbCr").split()
    half = size[0] // 2, size[1] // 2
    # video range, with reserve at both ends: noise is added later without an overflow check
    scaled = (np.asarray(luma).astype(np.uint16) * 205 // 255 + 22).astype(np.uint8)
    return scaled, np.asarray(blue.resize(half)), np.asarray(red.resize(half))


def _make_sensor_noise(size: tuple[int, int], seed: int) -> list[PicturePlane]:
    """Return seven noise pictures to be added modulo 256, so that no two consecutive frames are equal."""
    rng = np.random.default_rng(seed)
    width, height = size
    rounds = [np.rint(rng.normal(0, SENSOR_NOISE, (height, width))) for _ in range(7)]
    return [np.clip(n, -6, 6).astype(np.int8).view(np.uint8) for n in rounds]


def make_murmur(seconds: float, rate: int, seed: int = 1) -> SoundSamples:
    """Return noise in the band of speech with the rhythm of syllables, -25 dBFS RMS in total; float, mono."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    frequencies = np.fft.rfftfreq(count, 1 / rate)
    formants = sum(
        np.exp(-(((frequencies - f) / w) ** 2)) for f, w in ((220, 90), (650, 200), (1400, 350), (2500, 500))
    )
    voice = np.fft.irfft(np.fft.rfft(rng.normal(size=count)) * formants, count)
    knots = rng.uniform(0.15, 1, max(2, round(seconds * 4.5)))
    voice *= np.interp(np.linspace(0, len(knots) - 1, count), np.arange(len(knots)), knots)
    voice *= LOUDNESS / np.sqrt(np.mean(voice**2))
    clipped: SoundSamples = np.clip(voice, -0.95, 0.95).astype(np.float32)
    return clipped
