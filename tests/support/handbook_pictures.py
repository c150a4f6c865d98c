"""Pictures of pages for the handbooks, and the words that stand on each."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from agent import i18n
from tests.support.paths import ROOT

BOOKS = ROOT / "docs" / "guide" / "handbook"
PICTURES = BOOKS / "img"
LARGEST = 150_000
WIDTH = 1000
LANGUAGES: tuple[i18n.Language, ...] = ("zh", "en")
CHROMIUM = Path("/usr/bin/chromium")
# every word of the page that a person goes by; figures are left out
SAID = """() => [...document.querySelectorAll('h1,h2,h3,th,dt,label,button,nav a,.light b')]
    .map(e => e.textContent.replace(/[0-9.:%-]+/g, '').replace(/\\s+/g, ' ').trim()).filter(x => x)"""


@dataclass(frozen=True)
class Shot:
    """`top` is the element that the picture begins at, `height` its pixels. Forms are Chinese in both languages.

    `makes`: the path leads to a form with fields, whose last button makes the sheet.
    """

    role: str
    path: str
    height: int
    top: str = "h1"
    languages: tuple[i18n.Language, ...] = LANGUAGES
    makes: bool = False


def list_pictures(shots: dict[str, Shot]) -> list[str]:
    return [f"{name}.{lang}" for name, shot in shots.items() for lang in shot.languages]


def read_words() -> dict[str, list[str]]:
    """The words on each picture."""
    found: dict[str, list[str]] = json.loads((PICTURES / "seen.json").read_text(encoding="utf-8"))
    return found


def save_picture(data: bytes, file: Path) -> None:
    """In 128 colours: the file is a fifth, and nobody sees it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(data)) as picture:
        small = picture.convert("RGB").quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        small.save(file, optimize=True)


def note_words(folder: Path, name: str, said: list[str]) -> None:
    file = folder / "seen.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    text = json.dumps({**known, name: said}, ensure_ascii=False, indent=1, sort_keys=True)
    file.write_text(text + "\n", encoding="utf-8")


def check_picture(name: str, books: list[Path], size: tuple[int, int] | None, width: int = WIDTH) -> None:
    """The picture is there, small, of this size or at least width, and one of these books shows it."""
    file = PICTURES / f"{name}.png"
    assert file.stat().st_size <= LARGEST
    with Image.open(file) as picture:
        assert picture.size == size if size else picture.width == width
    assert any(f"(img/{name}.png)" in book.read_text(encoding="utf-8") for book in books), f"nobody shows {name}"
