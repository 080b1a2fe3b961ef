"""The models by the names that `malsugoi evaluate --models` takes. A module is imported when its model is made.

Peers are other people's libraries (the extra `peers`): those that are not installed are left out of groups with a
line, and asked for by name they end in a sentence that says what to install.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_PEERS = "evaluation.peers"
INSTALL = "pip install -c constraints.txt -e '.[peers]'"


class UnknownModel(ValueError):
    """A name that is neither a model nor a group; the message lists those that are."""


class NotInstalled(UnknownModel):
    """A peer asked for by name whose library is not there; the message says what to install."""


class BrokenLibrary(RuntimeError):
    """A peer's library is there, but cannot be imported."""


@dataclass(frozen=True)
class Entry:
    """Where a model's class is, its group, and one line about it.

    `room`: the package under `malsugoi_assets`; `library`, `package`: what a peer imports, and what to install for it;
    `part_of`: the model whose training makes this one too.
    """

    module: str
    name: str
    group: str
    help: str
    takes_device: bool = False
    room: str = "recommend"
    library: str = ""
    package: str = ""
    part_of: str = ""

    def is_there(self) -> bool:
        """Whether this build has the model's module, and its library is installed."""
        wanted = self.library or f"malsugoi_assets.{self.room}.{self.module}"
        return find_spec(wanted) is not None

    def make(self, seed: int, device: str = "cpu") -> Any:
        """A new, unfitted model; `device` (a torch name) matters to networks only. Raises `BrokenLibrary`."""
        more = {"device": device} if self.takes_device else {}
        try:
            module = import_module(f"malsugoi_assets.{self.room}.{self.module}")
        except (ImportError, OSError) as error:
            if not self.package:
                raise
            raise BrokenLibrary(f"{self.package} cannot be imported: {error}") from error
        return getattr(module, self.name)(seed=seed, **more)


def _peer(library: str, package: str, module: str, name: str, help: str) -> Entry:
    return Entry(module, name, "peers", help, room=_PEERS, library=library, package=package)


_surprise = partial(_peer, "surprise", "scikit-surprise", "with_surprise")
_lenskit = partial(_peer, "lenskit", "lenskit", "with_lenskit")
_lightgbm = partial(_peer, "lightgbm", "lightgbm", "with_lightgbm")
_implicit = partial(_peer, "implicit", "implicit", "with_implicit")


MODELS = {
    "cf": Entry("neighbourhood", "ItemNeighbourhood", "own", "neighbours by similarity over offsets"),
    "gp": Entry(
        "process_model", "GaussianProcess", "own", "one Gaussian process over all users' ratings", part_of="blend"
    ),
    "dnn": Entry("dnn", "Dnn", "own", "the network", takes_device=True, part_of="blend"),
    "dnn-original": Entry(
        "dnn_original", "DnnOriginal", "own", "the original project's network without its leak", takes_device=True
    ),
    "cf-original": Entry("original", "OriginalCf", "own", "the original project's cosine similarity"),
    "ease": Entry("ease", "Ease", "own", "linear item weights in closed form, for ranking"),
    "slim": Entry("slim", "Slim", "own", "sparse linear item weights, for ranking"),
    "blend": Entry("blend", "Blend", "own", "Gaussian process, network and trees", takes_device=True),
    "ranking": Entry("ranking", "Ranking", "own", "the learnt order of the recommendations"),
    "ranking-brief": Entry("ranking", "BriefRanking", "lists", "`ranking`, learnt as briefly as the pipeline does"),
    "recommendations": Entry("recommended", "Recommended", "lists", "`ranking` after the rules of the list"),
    "global-mean": Entry("baselines", "GlobalMean", "baselines", "the mean of all ratings"),
    "item-mean": Entry("baselines", "ItemMean", "baselines", "a title's mean"),
    "user-mean": Entry("baselines", "UserMean", "baselines", "a user's mean"),
    "mal-score": Entry("baselines", "MalScore", "baselines", "the site's score plus the user's offset"),
    "bias": Entry("baselines", "Bias", "baselines", "mean plus offsets of user and title"),
    "popularity": Entry("baselines", "Popularity", "baselines", "how many users list a title, for ranking"),
    "surprise-knn": _surprise("SurpriseKnn", "neighbours over baselines"),
    "surprise-svd": _surprise("SurpriseSvd", "biased factorisation by gradient descent"),
    "surprise-svdpp": _surprise("SurpriseSvdPlusPlus", "SVD++"),
    "lenskit-item-knn": _lenskit("LensKitItemKnn", "item-based neighbours on ratings"),
    "lenskit-user-knn": _lenskit("LensKitUserKnn", "user-based neighbours on ratings"),
    "lenskit-biased-mf": _lenskit("LensKitBiasedMf", "biased factorisation by least squares"),
    "myfm": _peer("myfm", "myfm", "with_myfm", "MyFm", "Bayesian factorisation machine with features"),
    "lightgbm": _lightgbm("LightGbm", "boosted trees on the network's inputs but the processes"),
    "lightgbm-gp": _lightgbm("LightGbmOnProcess", "boosted trees on all of the network's inputs"),
    "implicit-cosine": _implicit("ImplicitCosine", "co-listing neighbours, for ranking"),
    "implicit-bm25": _implicit("ImplicitBm25", "the same under BM25 weights, for ranking"),
    "implicit-als": _implicit("ImplicitAls", "factorisation of the lists, for ranking"),
    "implicit-bpr": _implicit("ImplicitBpr", "Bayesian personalised ranking"),
    "lenskit-item-ranking": _lenskit("LensKitItemKnnRanking", "item-based neighbours on lists, for ranking"),
    "lenskit-implicit-mf": _lenskit("LensKitImplicitMf", "factorisation of the lists, for ranking"),
    "lenskit-ease": _lenskit("LensKitEase", "EASE, for ranking"),
    "lenskit-slim": _lenskit("LensKitSlim", "SLIM, for ranking"),
}
GROUPS = ("own", "baselines", "peers", "all")


def available() -> list[str]:
    """The models of this build, in the registry's order."""
    return [name for name, entry in MODELS.items() if entry.is_there()]


def chosen_models(words: Iterable[str]) -> list[str]:
    """The models behind names and groups, each once, in the order asked for; a group has only those that are there.

    Raises `UnknownModel`, and `NotInstalled` for a peer by name, or where nothing at all is left.
    """
    there = available()
    names: list[str] = []
    words = [word.strip() for word in words]
    for word in words:
        if word in GROUPS:
            names += [name for name in there if word in ("all", MODELS[name].group)]
        elif word in there:
            names.append(word)
        elif word in MODELS and MODELS[word].package:
            raise NotInstalled(f"{word} needs {MODELS[word].package}, which is not installed: {INSTALL}")
        else:
            raise UnknownModel(f"no model {word!r}: known are {', '.join(there)} and the groups {', '.join(GROUPS)}")
    if not names:
        raise NotInstalled(f"none of the peers is installed: {INSTALL}")
    return list(dict.fromkeys(names))


def shared_trainings(names: Iterable[str]) -> dict[str, str]:
    """Those of `names` that another one of them makes along with itself → that one."""
    names = set(names)
    return {name: MODELS[name].part_of for name in sorted(names) if MODELS[name].part_of in names}


def left_out(words: Iterable[str]) -> dict[str, list[str]]:
    """The peers that the groups among `words` lack here: package to install → its models."""
    words = {word.strip() for word in words}
    missing: dict[str, list[str]] = {}
    for name, entry in MODELS.items():
        if words & {"all", entry.group} and entry.package and not entry.is_there():
            missing.setdefault(entry.package, []).append(name)
    return missing
