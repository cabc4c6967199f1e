"""Letters of many scripts as the Noto fonts draw them, 28 x 28 grey: many classes of few pictures each.

A class is a letter (a code point) that at least two fonts draw differently. Letters that one font draws alike (Latin A,
Greek Alpha) are one class, the first of them. Classes are divided, not pictures: those that an encoder learns from,
those on which it is watched, and those of the tasks.
"""

import io
import unicodedata
from pathlib import PurePosixPath

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

import packfile

SIDE, BOX = 28, 22
DRAWN = 88  # pixels an em, before scaling down
PARTS = {"base": 1800, "validation": 200, "novel": 400}
FONTS = "/usr/share/fonts/truetype/noto/"
TEXTS = {
    "kind": "images",
    "name": "glyphs",
    "title": "Letters, 2,400 classes",
    "licence": "SIL Open Font License 1.1",
    "attribution": "The Noto Project Authors; letters rendered at 28 x 28",
    "source": "Debian fonts-noto-core 20201225-1",
    "split": "by class: 1,800 to learn from; for testing 200 to watch it by and 400 novel ones",
}


def glyphs(registry, out):
    """Writes glyphs.bin."""
    files = registry.debian("fonts-noto-core")
    pictures = {}
    for path in sorted(files):
        name = PurePosixPath(path).name
        if path.startswith(FONTS) and name.endswith(("-Regular.ttf", "-Bold.ttf")):
            for letter, picture in letters(files[path], name).items():
                if all((picture != known).any() for known in pictures.setdefault(letter, [])):
                    pictures[letter].append(picture)
    classes, seen = [], set()
    for letter, drawn in sorted(pictures.items()):
        first = drawn[0].tobytes()
        if first not in seen and len(drawn) > 1:
            classes.append(letter)
        seen.add(first)
    write(out, packfile.mixed(classes, sum(PARTS.values())), pictures)


def write(out, classes, pictures):
    scripts = sorted({script(letter) for letter in classes})
    part_of = np.repeat(np.arange(len(PARTS)), list(PARTS.values()))
    rows = [(picture, label) for label, letter in enumerate(classes) for picture in pictures[letter]]
    y = np.array([label for _, label in rows], np.uint16)
    arrays = {
        "x": np.stack([picture for picture, _ in rows])[..., None],
        "y": y,
        "script": np.array([scripts.index(script(classes[label])) for label in y], np.uint8),
        "part": part_of[y].astype(np.uint8),
    }
    learned = int((arrays["part"] == 0).sum())
    header = TEXTS | {
        "classes": [chr(letter) for letter in classes],
        "attributes": [{"name": "script", "values": scripts}, {"name": "part", "values": list(PARTS)}],
        "train": [0, learned],
        "test": [learned, len(y)],
    }
    packfile.write(out, header, arrays)


def script(letter):
    """The script of a letter: what its name begins with."""
    return unicodedata.name(chr(letter)).split()[0].split("-")[0].capitalize()


def letters(content, name):
    """The letters that a font draws: [SIDE, SIDE] each, 16 shades."""
    known = TTFont(io.BytesIO(content), lazy=True).getBestCmap()
    font = ImageFont.truetype(io.BytesIO(content), DRAWN, layout_engine=ImageFont.Layout.BASIC)
    drawn = {}
    for letter in known:
        picture = render(font, chr(letter)) if plain(chr(letter)) else None
        if picture is not None:
            drawn[letter] = picture
    return drawn


def plain(text):
    """Whether it is a letter of its own: none that is composed of others, such as an accented one."""
    letter = unicodedata.category(text)[0] == "L" and not unicodedata.decomposition(text)
    return letter and not unicodedata.name(text, "CJK").startswith(("CJK", "MODIFIER", "HANGUL"))


def render(font, text):
    """A letter as a font draws it; none where it draws nothing."""
    box = font.getbbox(text)
    width, height = box[2] - box[0], box[3] - box[1]
    if width <= 0 or height <= 0:
        return None
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text((-box[0], -box[1]), text, fill=255, font=font)
    return fitted(image)


def fitted(image):
    """A picture's ink, its longer side BOX pixels, in the middle of [SIDE, SIDE] and in 16 shades; none of an empty one."""
    ink = image.getbbox()
    if ink is None:
        return None
    image = image.crop(ink)
    scale = BOX / max(image.size)
    size = [max(1, round(side * scale)) for side in image.size]
    small = np.asarray(image.resize(size, Image.Resampling.BOX), np.uint16)
    picture = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    picture[top : top + size[1], left : left + size[0]] = (small + 8) // 17 * 17
    return picture
