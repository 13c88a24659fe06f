"""Seeded pictures: smooth, as photographs and X-rays are, with a little noise; normalised like a model's input."""
import numpy as np


def pictures(count, side, seed):
    """float32 (count, 3, side, side) of mean 0 and deviation 1: waves whose strength falls with their frequency."""
    rng = np.random.default_rng(seed)
    at = np.linspace(0, 1, side, dtype=np.float32)
    out = 0.1 * rng.standard_normal((count, 3, side, side), dtype=np.float32)
    for picture in out:
        for _ in range(40):
            u, v = rng.uniform(-9, 9, 2)
            strength = rng.standard_normal(3) / (1 + np.hypot(u, v))
            wave = np.cos(2 * np.pi * (u * at[:, None] + v * at[None, :] + rng.random())).astype(np.float32)
            picture += strength.astype(np.float32)[:, None, None] * wave
        picture -= picture.mean()
        picture /= picture.std()
    return out
