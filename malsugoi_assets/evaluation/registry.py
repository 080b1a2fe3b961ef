"""The models by the names that `malsugoi evaluate --models` takes. A module is imported when its model is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_RECOMMEND = "malsugoi_assets.recommend"


class UnknownModel(ValueError):
    """A name that is neither a model nor a group; the message lists those that are."""


@dataclass(frozen=True)
class Entry:
    """Where a model's class is, its group, and one line about it."""

    module: str
    name: str
    group: str
    help: str
    takes_device: bool = False

    def is_there(self) -> bool:
        """Whether this build has the model's module."""
        return find_spec(f"{_RECOMMEND}.{self.module}") is not None

    def make(self, seed: int, device: str = "cpu") -> Any:
        """A new, unfitted model; `device` (a torch name) matters to networks only."""
        more = {"device": device} if self.takes_device else {}
        return getattr(import_module(f"{_RECOMMEND}.{self.module}"), self.name)(seed=seed, **more)


MODELS = {
    "cf": Entry("neighbourhood", "ItemNeighbourhood", "own", "neighbours by similarity over offsets"),
    "dnn": Entry("dnn", "Dnn", "own", "the network", takes_device=True),
    "dnn-original": Entry(
        "dnn_original", "DnnOriginal", "own", "the original project's network without its leak", takes_device=True
    ),
    "cf-original": Entry("original", "OriginalCf", "own", "the original project's cosine similarity"),
    "ease": Entry("ease", "Ease", "own", "linear item weights in closed form, for ranking"),
    "slim": Entry("slim", "Slim", "own", "sparse linear item weights, for ranking"),
    "blend": Entry("blend", "Blend", "own", "several of our own, weighted out of fold"),
    "ranking": Entry("ranking", "Ranking", "own", "the learnt order of the recommendations"),
    "global-mean": Entry("baselines", "GlobalMean", "baselines", "the mean of all ratings"),
    "item-mean": Entry("baselines", "ItemMean", "baselines", "a title's mean"),
    "user-mean": Entry("baselines", "UserMean", "baselines", "a user's mean"),
    "mal-score": Entry("baselines", "MalScore", "baselines", "the site's score plus the user's offset"),
    "bias": Entry("baselines", "Bias", "baselines", "mean plus offsets of user and title"),
    "popularity": Entry("baselines", "Popularity", "baselines", "how many users list a title, for ranking"),
}
GROUPS = ("own", "baselines", "all")


def available() -> list[str]:
    """The models of this build, in the registry's order."""
    return [name for name, entry in MODELS.items() if entry.is_there()]


def chosen_models(words: Iterable[str]) -> list[str]:
    """The models behind names and groups, each once, in the order asked for. Raises `UnknownModel`."""
    there = available()
    names: list[str] = []
    for word in (w.strip() for w in words):
        if word in GROUPS:
            names += [name for name in there if word in ("all", MODELS[name].group)]
        elif word in there:
            names.append(word)
        else:
            raise UnknownModel(f"no model {word!r}: known are {', '.join(there)} and the groups {', '.join(GROUPS)}")
    return list(dict.fromkeys(names))
