"""Test vectors for the few-shot methods: python few_shot_vectors.py writes engine/studies/src/fewshot/methods/vectors.json.

An independent implementation, in NumPy alone, of the formulas that EasyFSL publishes, over vectors that lost the mean of
the base classes and got length 1: nearest prototype (there without that), SimpleShot, BD-CSPN, LaplacianShot, PT-MAP, TIM.
Each task is drawn from a generator that both sides have, so that the file holds predictions alone. A prediction whose
margin is so small that rounding could decide it is left out ('.').
"""

import json
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
    main()
