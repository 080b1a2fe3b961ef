"""Random numbers that hang on names alone: the same in every order, on every machine, whatever else there is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Draws = npt.NDArray[np.uint64]


def name_draws(names: Iterable[object], seed: int) -> Draws:
    """A number a name, from the hash of name and seed."""
    digests = (hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)


def pair_draws(users: Draws, user: npt.NDArray[np.integer], titles: Draws, title: npt.NDArray[np.integer]) -> Draws:
    """A number a pair, from the draws of the names that `user` and `title` index."""
    return _mixed(users[user] ^ (titles[title] * np.uint64(0x9E3779B97F4A7C15)))


def _mixed(value: Draws) -> Draws:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
