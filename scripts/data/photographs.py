"""Photographs for tests: four cuts of each of ten pictures, as folders named by what they show.

    python photographs.py      writes engine/studies/src/fewshot/tests/photographs.zip

All ten are in the public domain or CC0: NASA (astronaut, galaxies), SpaceX (rocket), the Brooklyn Museum (coins), and what
scikit-image's contributors gave (bricks, cat, coffee, grass, gravel, retina).
"""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from registry import Registry

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {
    "astronaut": "astronaut.png",
    "bricks": "brick.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "galaxies": "hubble_deep_field.jpg",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
}
CUTS, SIDE = 4, 128


def main():
    package = Registry(ROOT / ".tools/data").pypi("scikit-image", "0.26.0")
    rng = np.random.default_rng(0)
    path = ROOT / "engine/studies/src/fewshot/tests/photographs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in CLASSES.items():
            picture = Image.open(io.BytesIO(package.read(f"skimage/data/{file}"))).convert("RGB")
            for number in range(1, CUTS + 1):
                entry = zipfile.ZipInfo(f"{name}/{number}.jpg", (1980, 1, 1, 0, 0, 0))
                archive.writestr(entry, jpeg(cut(picture, rng), mirrored=number % 2 == 0))
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} KB")


def cut(picture, rng):
    """A square of 45 to 75% of the shorter side, anywhere."""
    side = int(min(picture.size) * rng.uniform(0.45, 0.75))
    left, top = (int(rng.integers(0, length - side + 1)) for length in picture.size)
    return picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.BOX)


def jpeg(picture, mirrored):
    out = io.BytesIO()
    (picture.transpose(Image.FLIP_LEFT_RIGHT) if mirrored else picture).save(out, "jpeg", quality=80)
    return out.getvalue()


if __name__ == "__main__":
    main()
