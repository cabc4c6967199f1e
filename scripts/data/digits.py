"""Optical recognition of handwritten digits: 1,797 images of 8 x 8, 10 classes."""

import gzip

import numpy as np

import packfile

TEST = 360


def digits(registry, out):
    text = registry.pypi("scikit-learn", "1.9.1").read("sklearn/datasets/data/digits.csv.gz")
    table = np.loadtxt(gzip.decompress(text).decode().splitlines(), delimiter=",")
    y = table[:, 64].astype(np.uint8)
    # Counts of 0..16 stretched to the full range of a byte, so that every image data set has the same scale.
    x = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    test = np.sort(stratified(y, TEST))
    train = np.setdiff1d(np.arange(len(y)), test)
    arrays, ranges = packfile.join({"x": x[train], "y": y[train]}, {"x": x[test], "y": y[test]})
    header = {
        "name": "digits",
        "title": "Digits 8x8",
        "kind": "images",
        "classes": [str(d) for d in range(10)],
        "split": "stratified: a fifth of each class, evenly spaced through the file, is for testing",
        "licence": "CC BY 4.0 (data), BSD-3-Clause (package)",
        "attribution": "Optical Recognition of Handwritten Digits by E. Alpaydin and C. Kaynak, UCI; as in scikit-learn",
        "source": "PyPI scikit-learn 1.9.1",
    }
    packfile.write(out, header | ranges, arrays)


def stratified(y, count):
    """Indices of `count` rows, classes in their proportions (largest remainders)."""
    sizes = np.bincount(y)
    exact = sizes * count / len(y)
    quota = np.floor(exact).astype(int)
    quota[np.argsort(quota - exact, kind="stable")[: count - quota.sum()]] += 1
    rows = [np.flatnonzero(y == c) for c in range(len(sizes))]
    return np.concatenate([r[packfile.evenly(len(r), q)] for r, q in zip(rows, quota)])
