"""Clip art of many hands, 32 x 32 RGB on white. A class is a folder of the collection without folders in it.

Folders of at least LEAST different pictures are classes, of which at most MOST are taken, evenly spaced by name. Classes are
divided: those that an encoder learns from, those on which it is watched, and those of the tasks.
"""

import io
from collections import defaultdict
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

import packfile

SIDE, LEAST, MOST = 32, 12, 40
FOLDER = "/usr/share/openclipart/png/"
LEFT_OUT = {"people/clothing/pantyhose"}  # the lab is used in schools
PARTS = {"base": 30, "validation": 6, "novel": 24}
TEXTS = {
    "kind": "images",
    "name": "clipart",
    "title": "Clip art",
    "licence": "public domain",
    "attribution": "the artists of the Open Clip Art Library",
    "source": "Debian openclipart-png 0.18+dfsg-19",
    "split": "by class: 30 to learn from; for testing 6 to watch it by and 24 novel ones",
}


def clipart(registry, out):
    """Writes clipart.bin."""
    folders = defaultdict(list)
    for path, content in sorted(registry.debian("openclipart-png").items()):
        if path.startswith(FOLDER) and path.endswith(".png"):
            folders[str(PurePosixPath(path.removeprefix(FOLDER)).parent)].append(content)
    leaves = [name for name in sorted(folders) if not any(other.startswith(f"{name}/") for other in folders)]
    leaves = [name for name in leaves if "/" in name and name not in LEFT_OUT and len(folders[name]) >= LEAST]
    pictures = {name: distinct(folders[name]) for name in leaves}
    classes = packfile.mixed([name for name in leaves if len(pictures[name]) >= LEAST], sum(PARTS.values()))
    part_of = np.repeat(np.arange(len(PARTS), dtype=np.uint8), list(PARTS.values()))
    x, y = [], []
    for label, name in enumerate(classes):
        chosen = packfile.evenly(len(pictures[name]), min(MOST, len(pictures[name])))
        x += [pictures[name][place] for place in chosen]
        y += [label] * len(chosen)
    y = np.array(y, np.uint16)
    learned = int((part_of[y] == 0).sum())
    header = TEXTS | {
        "classes": [", ".join(reversed(name.replace("_", " ").split("/"))) for name in classes],
        "attributes": [{"name": "part", "values": list(PARTS)}],
        "train": [0, learned],
        "test": [learned, len(y)],
    }
    packfile.write(out, header, {"x": np.stack(x), "y": y, "part": part_of[y]})


def distinct(files):
    """The pictures of a folder that can be read, without repetitions, in order."""
    found = {}
    for content in files:
        picture = small(content)
        if picture is not None:
            found.setdefault(picture.tobytes(), picture)
    return list(found.values())


def small(content):
    """A picture's ink centred in a square on white, [SIDE, SIDE, 3]; none of an empty or damaged one."""
    try:
        image = Image.open(io.BytesIO(content)).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    ink = image.getchannel("A").getbbox()
    if ink is None:
        return None
    image = image.crop(ink)
    side = max(image.size)
    square = Image.new("RGBA", (side, side), "white")
    square.alpha_composite(image, ((side - image.width) // 2, (side - image.height) // 2))
    picture = np.asarray(square.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
    return None if (picture == 255).all() else picture
