"""Kanji drawn from their strokes, 28 x 28 grey: each as printed with a fine pen, and in the regular script with a brush.

Classes are the characters of which both forms are known, 2,000 of them, evenly spaced by code point. They are divided as
the letters are: those that an encoder learns from, those on which it is watched, and those of the tasks.
"""

import io
import re

import numpy as np
import resvg_py
from PIL import Image

import glyphs
import packfile

DRAWN = 109  # side of the box that strokes lie in, and pixels of it before scaling down
PENS = {"": 4, "-Kaisho": 9}  # width of the pen for each form
PARTS = {"base": 1500, "validation": 200, "novel": 300}
VERSION = "20260714"
TEXTS = {
    "kind": "images",
    "name": "kanji",
    "title": "Kanji, 2,000 classes",
    "licence": "CC BY-SA 3.0",
    "attribution": "KanjiVG by Ulrich Apel; strokes drawn at 28 x 28",
    "source": f"PyPI kanjivg {VERSION}",
    "split": "by class: 1,500 to learn from; for testing 200 to watch it by and 300 novel ones",
}


def kanji(registry, out):
    """Writes kanji.bin."""
    package = registry.pypi("kanjivg", VERSION)
    drawn = set(package.names())
    both = [letter for letter in range(0x4E00, 0xA000) if all(path(letter, form) in drawn for form in PENS)]
    classes = packfile.mixed(both, sum(PARTS.values()))
    x = [draw(package.read(path(letter, form)).decode(), pen) for letter in classes for form, pen in PENS.items()]
    y = np.repeat(np.arange(len(classes), dtype=np.uint16), len(PENS))
    part_of = np.repeat(np.arange(len(PARTS), dtype=np.uint8), list(PARTS.values()))
    learned = len(PENS) * PARTS["base"]
    header = TEXTS | {
        "classes": [chr(letter) for letter in classes],
        "attributes": [{"name": "part", "values": list(PARTS)}],
        "train": [0, learned],
        "test": [learned, len(y)],
    }
    packfile.write(out, header, {"x": np.stack(x)[..., None], "y": y, "part": part_of[y]})


def path(letter, form):
    return f"kanji/{letter:05x}{form}.svg"


def draw(svg, pen):
    """The strokes of a character, bright on dark."""
    strokes = re.findall(r'<path [^>]*\bd="([^"]+)"', svg)
    lines = "".join(f'<path d="{stroke}"/>' for stroke in strokes)
    style = f'fill="none" stroke="white" stroke-width="{pen}" stroke-linecap="round" stroke-linejoin="round"'
    picture = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {DRAWN} {DRAWN}"><g {style}>{lines}</g></svg>'
    png = resvg_py.svg_to_bytes(
        svg_string=picture, background="black", width=DRAWN, height=DRAWN, skip_system_fonts=True
    )
    return glyphs.fitted(Image.open(io.BytesIO(bytes(png))).convert("L"))
