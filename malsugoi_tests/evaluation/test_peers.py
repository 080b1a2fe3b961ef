"""Peers: tuned on train rows alone, left out with a line where they cannot work. Real libraries: test_models_contract."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from malsugoi_assets.evaluation import registry
from malsugoi_assets.evaluation.peers import peer
from malsugoi_assets.evaluation.peers.peer import PeerError, RankingPeer, RatingPeer, Setting, inner_split
from malsugoi_assets.evaluation.protocols import make_protocol
from malsugoi_assets.evaluation.registry import (
    MODELS,
    BrokenLibrary,
    NotInstalled,
    UnknownModel,
    chosen_models,
    left_out,
)
from malsugoi_assets.evaluation.run import evaluate
from malsugoi_assets.recommend.baselines import fit_bias
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import IntArray, Ratings
from malsugoi_tests.evaluation.small_lists import Constant, Lines, checkerboard, rows_of


class Says(RatingPeer):
    """Says the number of its setting, and nothing of title 0."""

    grid: ClassVar[tuple[Setting, ...]] = ({"value": 1.0}, {"value": 7.0}, {"value": 10.0})
    needs: ClassVar[float] = 0.0

    def learn(self, ratings: Ratings, items: Items, setting: Setting) -> Any:
        self.shown = ratings
        return setting["value"]

    def answer(self, learnt: Any, user: IntArray, item: IntArray) -> Any:
        return np.where(item == 0, np.nan, learnt)

    def memory(self, ratings: Ratings) -> float:
        return self.needs


class Orders(RankingPeer):
    """Scores titles by their number, upwards or downwards, and knows nothing of the last one."""

    grid: ClassVar[tuple[Setting, ...]] = ({"sign": 1}, {"sign": -1})

    def learn(self, ratings: Ratings, items: Items, setting: Setting) -> Any:
        return setting["sign"] * np.arange(ratings.n_items, dtype=np.float32)

    def score(self, learnt: Any, users: IntArray) -> Any:
        scores = np.tile(learnt, (len(users), 1))
        scores[:, -1] = np.nan
        return scores

    def memory(self, ratings: Ratings) -> float:
        return 0.0


class Breaks(Says):
    """A library that fails in a way of its own."""

    def learn(self, ratings: Ratings, items: Items, setting: Setting) -> Any:
        raise KeyError("no such factor\nand much more")


def learnt(lists: list[tuple[str, str, int | None]]) -> tuple[Ratings, Items]:
    rows = rows_of(lists)
    return rows.ratings(np.ones(len(rows), dtype=np.bool_)), rows.items


@given(st.lists(st.integers(0, 23), min_size=1, max_size=8), st.integers(0, 99))
def test_the_inner_split_hides_a_fifth_of_each_user_and_nothing_unrated(sizes: list[int], seed: int) -> None:
    user = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    item = np.concatenate([np.arange(n) for n in sizes]).astype(np.int32)
    rating = np.where(item % 7 == 6, np.nan, 5).astype(np.float32)
    ratings = Ratings(user, item, rating, len(sizes), 24)
    rest, hidden = inner_split(ratings, seed)
    rated = np.bincount(ratings.rated.user, minlength=len(sizes))
    assert np.bincount(hidden.user, minlength=len(sizes)).tolist() == [n // 5 if n >= 5 else 0 for n in rated]
    assert hidden.is_rated.all()
    both = np.concatenate([rest.user * 24 + rest.item, hidden.user * 24 + hidden.item])
    assert sorted(both) == sorted(user * 24 + item)


def test_the_setting_that_errs_least_on_the_inner_split_is_taken_and_learns_from_all_rows() -> None:
    ratings, items = learnt([(f"u{u}", f"t{t:02}", 6 + (u + t) % 3) for u in range(6) for t in range(12)])
    said = Says(seed=0).fit(ratings, items)
    assert said.settings == {"value": 7.0}
    assert [setting["value"] for setting, _ in said.tried] == [1.0, 7.0, 10.0]
    assert said.shown is ratings


def test_what_a_peer_does_not_answer_is_answered_by_the_offsets() -> None:
    ratings, items = learnt(checkerboard())
    said = Says(seed=0).fit(ratings, items)
    user = np.arange(4, dtype=np.int32)
    assert said.predict(user, user * 0).tolist() == fit_bias(ratings).predict(user, user * 0).tolist()


def test_without_a_budget_the_first_setting_is_taken_untried() -> None:
    said = Says(seed=0, budget_seconds=0).fit(*learnt(checkerboard()))
    assert (said.settings, said.tried) == ({"value": 1.0}, [])


def test_no_setting_is_begun_that_the_budget_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that moves five seconds a look a setting takes five and ends after 10, 20, …: 22 hold two."""
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr(peer.time, "monotonic", lambda: next(clock))
    said = Says(seed=0, budget_seconds=22).fit(*learnt(checkerboard()))
    assert [setting["value"] for setting, _ in said.tried] == [1.0, 7.0]


def test_a_ranking_is_tuned_on_hidden_titles_among_those_not_listed() -> None:
    """Everybody knows the first 20 titles and likes the lower half: downwards finds what is hidden, upwards does not."""
    lists = [(f"u{u}", f"t{t:02}", 9 if t < 10 else 4) for u in range(10) for t in range(20)]
    ratings, items = learnt([*lists, *[("x", f"t{t:02}", None) for t in range(40)]])
    order = Orders(seed=0).fit(ratings, items)
    assert order.settings == {"sign": -1}
    assert {s["sign"]: loss for s, loss in order.tried}[-1] == pytest.approx(0)
    scores = order.scores(np.arange(3, dtype=np.int32))
    assert np.isfinite(scores).all()
    assert (scores[:, -1] < scores[:, :-1].min()).all()


def test_a_peer_that_does_not_fit_into_memory_is_left_out_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Says, "needs", 1e15)
    rows, lines = rows_of(checkerboard()), list[str]()
    found = evaluate(rows, make_protocol("random5", rows, 0), {"big": Says, "luck": Constant}, progress=Lines(lines))
    assert {r.model for r in found} == {"luck"}
    assert any("big skipped: it needs about 1000000.0 GB of memory" in line for line in lines)


def test_a_library_that_fails_leaves_its_model_out_with_one_line() -> None:
    with pytest.raises(PeerError, match=r"^its library failed with KeyError: 'no such factor") as caught:
        Breaks().fit(*learnt(checkerboard()))
    assert "\n" not in str(caught.value)


def test_nothing_to_learn_from_is_said_in_words() -> None:
    with pytest.raises(PeerError, match="no rating"):
        Says().fit(*learnt([("a", "x", None)]))


class TestWithoutTheLibraries:
    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = registry.find_spec
        libraries = {entry.library for entry in MODELS.values()} - {""}
        monkeypatch.setattr(registry, "find_spec", lambda name: None if name in libraries else found(name))

    def test_a_group_does_without_them_and_says_so(self) -> None:
        assert chosen_models(["baselines", "peers"]) == chosen_models(["baselines"])
        missing = left_out(["peers"])
        assert missing["scikit-surprise"] == ["surprise-knn", "surprise-svd", "surprise-svdpp"]
        assert missing == left_out(["all", "cf"])
        assert left_out(["own", "myfm"]) == {}

    def test_by_name_the_sentence_says_what_to_install(self) -> None:
        with pytest.raises(NotInstalled, match=r"myfm needs myfm, .* pip install .*peers"):
            chosen_models(["bias", "myfm"])

    def test_the_group_alone_has_nothing_to_measure(self) -> None:
        with pytest.raises(NotInstalled, match="none of the peers is installed: pip install"):
            chosen_models(["peers"])

    def test_a_name_that_nobody_knows_is_still_an_unknown_one(self) -> None:
        with pytest.raises(UnknownModel, match="no model 'nonesuch'"):
            chosen_models(["nonesuch"])


def test_a_library_that_cannot_be_imported_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError("No module named 'pkg_resources'")

    monkeypatch.setattr(registry, "import_module", broken)
    with pytest.raises(BrokenLibrary, match="myfm cannot be imported: No module named 'pkg_resources'"):
        MODELS["myfm"].make(0)


def test_lightgbm_sees_nothing_that_a_gaussian_process_said_and_starts_from_the_offsets() -> None:
    pytest.importorskip("lightgbm", reason="the extra `peers` is not installed")
    from malsugoi_assets.evaluation.peers.with_lightgbm import LightGbm, LightGbmOnProcess
    from malsugoi_assets.recommend.features import Inputs, column_names
    from malsugoi_assets.recommend.near_titles import no_titles

    names = column_names(["a genre"])
    matrix = np.arange(len(names), dtype=np.float32)[None]
    inputs = Inputs(matrix, no_titles(1, 0), np.array([9], dtype=np.float32), np.ones(1, dtype=np.float32))
    seen = LightGbm().seen(inputs, 7.0)
    left = [names[int(place)] for place in seen.matrix[0]]
    assert [name for name in names if name not in left] == [
        name for name in names if name.startswith(("gp_", "joint_", "left_out_")) or name == "base"
    ]
    assert seen.base[0] == 7 + names.index("title_effect") + names.index("user_offset")
    assert LightGbmOnProcess().seen(inputs, 7.0) is inputs
