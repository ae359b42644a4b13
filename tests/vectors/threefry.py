"""The random numbers of this suite."""

import numpy as np


def threefry(seed, stream, index, counter):
    """Threefry-2x32, 20 rounds, of an array of indices: two uint32 arrays."""
    keys = [np.uint32(seed), np.uint32(stream), np.uint32(0x1BD11BDA ^ seed ^ stream)]
    x = np.asarray(index, np.uint32) + keys[0]
    y = np.full_like(x, counter) + keys[1]
    for turn in range(20):
        by = np.uint32([13, 15, 26, 6, 17, 29, 16, 24][turn % 8])
        x = x + y
        y = ((y << by) | (y >> (np.uint32(32) - by))) ^ x
        if turn % 4 == 3:
            group = (turn + 1) // 4
            x = x + keys[group % 3]
            y = y + keys[(group + 1) % 3] + np.uint32(group)
    return x, y


def uniforms(seed, stream, counter, n):
    """Multiples of 2^-24 in [0, 1), float64[n]."""
    pairs = np.stack(threefry(seed, stream, np.arange((n + 1) // 2), counter), axis=-1)
    return (pairs.flatten()[:n] >> np.uint32(8)) * 2.0**-24
