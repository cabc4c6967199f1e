"""Writes the web pack format that engine/src/data/pack.rs reads.

    magic "MBPK" | u32 version | u32 header length | header (JSON, UTF-8) | zlib stream of the arrays, one after another

All integers and array elements are little-endian. Servers may not compress, so the payload is compressed in the file.
Images are [N, height, width, channels]: interleaved channels of flat drawings compress a third better than planes.
"""

import hashlib
import json
import struct
import zlib
from pathlib import Path

import numpy as np

MAGIC = b"MBPK"
VERSION = 1
DTYPES = {"uint8": "u8", "uint16": "u16", "uint32": "u32", "float32": "f32"}


def write(folder: Path, header: dict, arrays: dict[str, np.ndarray]) -> None:
    """Writes folder/NAME.bin, NAME from the header."""
    arrays = {name: np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for name, a in arrays.items()}
    raw = b"".join(a.tobytes() for a in arrays.values())
    header = {
        **header,
        "arrays": [{"name": n, "dtype": DTYPES[a.dtype.name], "shape": list(a.shape)} for n, a in arrays.items()],
        "sha256": hashlib.sha256(raw).hexdigest(),
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    payload = zlib.compress(raw, 9)
    path = folder / f"{header['name']}.bin"
    path.write_bytes(MAGIC + struct.pack("<II", VERSION, len(text)) + text + payload)
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {len(raw) / 1e6:.2f} MB raw, sha256 {header['sha256'][:16]}")


def evenly(n: int, k: int) -> np.ndarray:
    """k of the indices 0..n, evenly spaced: a sample that depends on nothing but n and k."""
    return np.arange(k) * n // k


def mixed(items: list, k: int) -> list:
    """k of the items, evenly spaced, in an order that mixes neighbours: the golden ratio's multiples never crowd."""
    chosen = [items[i] for i in evenly(len(items), k)]
    return [chosen[i] for i in np.argsort(np.arange(k) * 0.6180339887498949 % 1.0, kind="stable")]


def join(train: dict[str, np.ndarray], test: dict[str, np.ndarray]) -> tuple[dict, dict]:
    """Arrays with the test rows after the training rows, and the header's two ranges."""
    n, m = (len(next(iter(part.values()))) for part in (train, test))
    ranges = {"train": [0, n], "test": [n, n + m]}
    return {name: np.concatenate([train[name], test[name]]) for name in train}, ranges
