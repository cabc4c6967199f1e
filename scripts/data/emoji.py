"""Emoji in eight art styles, rendered at 32 x 32 RGB on white.

emoji_classes.tsv is the recipe: a row a class (a code point sequence that at least six styles draw), a column a style,
in it the icon's name in that style's package: '=' the name in column `icon`, '-' not drawn.
"""

import csv
import io
import json
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

import packfile

SIDE = 32
VERSIONS = {
    "noto": "1.2.9",
    "twemoji": "1.2.5",
    "openmoji": "1.2.29",
    "fluent-emoji-flat": "1.2.6",
    "noto-v1": "1.2.5",
    "emojione": "1.2.3",
    "emojione-v1": "1.2.3",
    "fxemoji": "1.2.2",
}
STYLES = list(VERSIONS)
TEXTS = {
    "kind": "images",
    "licence": "Apache-2.0 (noto, noto-v1, fxemoji), MIT (fluent), CC BY 4.0 (twemoji, emojione), "
    "CC BY-SA 4.0 (openmoji, emojione-v1)",
    "attribution": "Noto Emoji by Google; Twemoji by Twitter and contributors; OpenMoji; Fluent Emoji by Microsoft; "
    "EmojiOne; FxEmojis by Mozilla; rendered at 32 x 32",
    "source": "npm " + ", ".join(f"@iconify-json/{style} {version}" for style, version in VERSIONS.items()),
}


def emoji(registry, out):
    """All classes (emoji.bin), and a hundred drawn in every style (emoji100.bin)."""
    with open(Path(__file__).with_name("emoji_classes.tsv"), newline="") as file:
        classes = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    icons = {s: json.loads(registry.npm(f"@iconify-json/{s}", v)["icons.json"]) for s, v in VERSIONS.items()}
    write(out, "emoji", "Emoji, 1,109 classes", icons, classes, tests_per_class=1)
    in_all = [row for row in classes if all(row[style] != "-" for style in STYLES)]
    hundred = [in_all[i] for i in packfile.evenly(len(in_all), 100)]
    write(out, "emoji100", "Emoji, 100 classes", icons, hundred, tests_per_class=2)


def write(out, name, title, icons, classes, tests_per_class):
    groups = sorted({row["group"] for row in classes})
    parts = ([], [])
    for label, row in enumerate(classes):
        drawn = [s for s in STYLES if row[s] != "-"]
        # The styles take turns at being the test style, so that no style is only ever trained on or tested on.
        held_out = {drawn[(label * tests_per_class + i) % len(drawn)] for i in range(tests_per_class)}
        for style in drawn:
            icon = row["icon"] if row[style] == "=" else row[style]
            example = (render(icons[style], icon), label, STYLES.index(style), groups.index(row["group"]))
            parts[style in held_out].append(example)
    arrays, ranges = packfile.join(*(columns(part) for part in parts))
    header = TEXTS | {
        "name": name,
        "title": title,
        "classes": [row["icon"].replace("-", " ") for row in classes],
        "attributes": [{"name": "style", "values": STYLES}, {"name": "group", "values": groups}],
        "split": f"stratified: of each class {tests_per_class} for testing, the art styles taking turns",
    }
    packfile.write(out, header | ranges, arrays)


def columns(examples):
    x, y, style, group = zip(*examples)
    return {
        "x": np.stack(x),
        "y": np.array(y, np.uint16),
        "style": np.array(style, np.uint8),
        "group": np.array(group, np.uint8),
    }


def render(package, name):
    """The icon centred in a square, [SIDE, SIDE, 3]."""
    icon = package["icons"][name]
    width, height = (icon.get(key, package.get(key, 16)) for key in ("width", "height"))
    side = max(width, height)
    left = icon.get("left", 0) - (side - width) / 2
    top = icon.get("top", 0) - (side - height) / 2
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {side} {side}" width="{SIDE}" height="{SIDE}">{icon["body"]}</svg>'
    )
    png = resvg_py.svg_to_bytes(
        svg_string=svg, background="white", width=SIDE, height=SIDE, skip_system_fonts=True
    )
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB"))
