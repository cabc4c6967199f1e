"""Test vectors for the few-shot methods: python few_shot_vectors.py writes engine/studies/src/fewshot/methods/vectors.json.
python few_shot_vectors.py DIR holds what `minibatch fewshot '#fewshot?temperature=1' --out DIR` wrote against the same.

An independent implementation, in NumPy alone, of the formulas that EasyFSL publishes, over vectors that lost the mean of
the base classes and got length 1: nearest prototype (there without that), SimpleShot, BD-CSPN, LaplacianShot, PT-MAP, TIM.
Each task is drawn from a generator that both sides have, so that the file holds predictions alone. A prediction whose
margin is so small that rounding could decide it is left out ('.').
"""

import csv
import json
import struct
import sys
from pathlib import Path

import numpy as np

TASKS, WAYS, QUERIES, DIMS = 200, 5, 15, 16
SPREAD = 0.8
MARGIN = 1e-6
OUT = Path(__file__).resolve().parents[1] / "engine/studies/src/fewshot/methods/vectors.json"


def draws(seed, count):
    """Numbers in [-1, 1): Knuth's 64-bit linear congruence, its upper 32 bits."""
    state, out = seed, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append((state >> 32) / 2**31 - 1.0)
    return np.array(out)


def task(number):
    """Support (shots a class: 1 or 5, turn about), queries, a centre."""
    shots = 1 if number % 2 == 0 else 5
    rows = WAYS * (shots + QUERIES)
    numbers = draws(number + 1, (WAYS + rows + 1) * DIMS).reshape(-1, DIMS)
    means, noise, centre = SPREAD * numbers[:WAYS], numbers[WAYS:-1], 0.1 * numbers[-1]
    support = np.repeat(np.arange(WAYS), shots)
    truth = np.repeat(np.arange(WAYS), QUERIES)
    points = means[np.concatenate([support, truth])] + noise
    return points, support, centre


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def means(points, labels):
    return np.stack([points[labels == k].mean(0) for k in range(WAYS)])


def square(a, b):
    return ((a[:, None] - b[None]) ** 2).sum(-1)


def prototype(s, y, q):
    return -square(q, means(s, y))


def simple_shot(s, y, q):
    return unit(q) @ unit(means(s, y)).T


def rectified(s, y, q):
    moved = q + s.mean(0) - q.mean(0)
    start = means(s, y)
    ws, wq = np.exp(simple_shot(s, y, s)), np.exp(unit(moved) @ unit(start).T)
    one_s, one_q = np.eye(WAYS)[y], np.eye(WAYS)[wq.argmax(1)]
    total = (one_s * ws).sum(0) + (one_q * wq).sum(0)
    return (one_s * ws / total).T @ s + (one_q * wq / total).T @ moved


def bd_cspn(s, y, q):
    return unit(q) @ unit(rectified(s, y, q)).T


def laplacian_shot(s, y, q, knn=3, strength=0.7, steps=20):
    a = square(q, rectified(s, y, q))
    d = square(q, q)
    np.fill_diagonal(d, -1.0)
    w = np.zeros_like(d)
    for row, near in enumerate(np.argsort(d, 1, kind="stable")[:, 1:knn]):
        w[row, near] = 1.0
    z, old = softmax(-a), np.inf
    for step in range(steps):
        z = softmax(-a + strength * (w @ z))
        bound = (z * np.log(np.maximum(z, 1e-20)) + a * z - strength * (w @ z) * z).sum()
        if step > 1 and abs(bound - old) <= 1e-6 * abs(old):
            break
        old = bound
    return z


def transport(cost):
    each = len(cost) / WAYS
    p = np.exp(-10.0 * cost)
    p /= p.sum()
    for _ in range(1000):
        rows = p.sum(1)
        p = p / (rows + 1e-10)[:, None]
        p = p * (each / (p.sum(0) + 1e-10))[None]
        if np.abs(rows - p.sum(1)).max() < 1e-6:
            break
    return p


def pt_map(s, y, q):
    m, both = means(s, y), np.concatenate([s, q])
    for _ in range(10):
        z = np.concatenate([np.eye(WAYS)[y], transport(square(q, m))])
        m = m + 0.2 * (z.T @ both / z.sum(0)[:, None] - m)
    return transport(square(q, m))


def tim(s, y, q, rate=1e-3, steps=100, tiny=1e-12):
    m = means(s, y)
    moment, power = np.zeros_like(m), np.zeros_like(m)

    def backward(x, by_logit):
        apart = m[None] - x[:, None]
        d = np.sqrt((apart**2).sum(-1))
        inverse = np.divide(1.0, d, out=np.zeros_like(d), where=d > 0)
        return -(by_logit * inverse)[..., None] * apart

    for step in range(1, steps + 1):
        ps, pq = softmax(-np.sqrt(square(s, m))), softmax(-np.sqrt(square(q, m)))
        marginal = pq.mean(0)
        by_p = (np.log(marginal) + 1.0 - 0.1 * (np.log(pq + tiny) + pq / (pq + tiny))) / len(q)
        by_q = pq * (by_p - (by_p * pq).sum(1, keepdims=True))
        g = backward(s, (ps - np.eye(WAYS)[y]) / len(s)).sum(0) + backward(q, by_q).sum(0)
        moment, power = 0.9 * moment + 0.1 * g, 0.999 * power + 0.001 * g * g
        m = m - rate * (moment / (1 - 0.9**step)) / (np.sqrt(power / (1 - 0.999**step)) + 1e-8)
    return softmax(-np.sqrt(square(q, m)))


METHODS = {"simpleshot": simple_shot, "bd-cspn": bd_cspn, "laplacianshot": laplacian_shot, "pt-map": pt_map, "tim": tim}


def predictions(scores):
    order = np.sort(scores, 1)
    sure = order[:, -1] - order[:, -2] > MARGIN
    return "".join(str(k) if ok else "." for k, ok in zip(scores.argmax(1), sure))


def tensors(path):
    """The arrays of a safetensors file."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    dtypes = {"F32": "<f4", "U32": "<u4"}
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], dtypes[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def check(folder):
    """Counts the predictions of an export with 5 ways that differ, by method."""
    arrays = tensors(folder / "embeddings.safetensors")
    place = {int(row): at for at, row in enumerate(arrays["rows"])}
    vectors, centre = arrays["embeddings"].astype(float), arrays["centre"].astype(float)
    said = list(csv.DictReader((folder / "predictions.csv").open()))
    first, counts = 0, {}
    for task in json.loads((folder / "tasks.json").read_text()):
        y = np.array([k for k, rows in enumerate(task["support"]) for _ in rows])
        rows = [row for of_class in task["support"] for row in of_class] + task["query"]
        points = vectors[[place[row] for row in rows]]
        for name, method in {"prototype": prototype, **METHODS}.items():
            if name in said[0]:
                x = points if name == "prototype" else unit(points - centre)
                found = predictions(method(x[: len(y)], y, x[len(y) :]))
                same, differ = counts.get(name, (0, 0))
                pairs = [(said[first + q][name], wanted) for q, wanted in enumerate(found) if wanted != "."]
                counts[name] = (same + sum(a == b for a, b in pairs), differ + sum(a != b for a, b in pairs))
        first += len(task["query"])
    for name, (same, differ) in counts.items():
        print(f"{name}: {same} alike, {differ} not")


def main():
    out = {name: [] for name in ("prototype", *METHODS)}
    for number in range(TASKS):
        points, y, centre = task(number)
        out["prototype"].append(predictions(prototype(points[: len(y)], y, points[len(y) :])))
        points = unit(points - centre)
        for name, method in METHODS.items():
            out[name].append(predictions(method(points[: len(y)], y, points[len(y) :])))
    OUT.write_text(json.dumps(out, separators=(",", ":")).replace('","', '",\n"') + "\n")


if __name__ == "__main__":
    check(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
