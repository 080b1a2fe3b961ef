"""One contract for every model of the registry, on lists with an obvious answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from malsugoi_assets.evaluation import judge_rankings
from malsugoi_assets.evaluation.data import EvaluationRows, Positions
from malsugoi_assets.evaluation.models import PredictsRatings, RanksTitles
from malsugoi_assets.evaluation.protocols import History, make_protocol
from malsugoi_assets.evaluation.registry import MODELS, UnknownModel, available, chosen_models
from malsugoi_assets.evaluation.results import Result
from malsugoi_assets.evaluation.run import EvaluationError, evaluate, predict, rank
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_tests.evaluation.small_lists import Constant, Lines, Spy, briefer, checkerboard, rows_of

# Those that know titles or users by one number only, or likeness by names, content and lists only, of which a
# checkerboard says nothing.
BLIND = {"gp", "global-mean", "item-mean", "user-mean", "mal-score", "bias", "popularity"}
# Those whose networks need more than a checkerboard to learn from; they have tests of their own.
SLOW = {"dnn", "dnn-original", "blend"}


@pytest.fixture(scope="module")
def fitted() -> dict[str, Any]:
    """Every model, fitted once on all rows of the checkerboard."""
    rows = rows_of(checkerboard())
    learnt = rows.ratings(np.ones(len(rows), dtype=np.bool_))
    return {name: _brief(name).fit(learnt, rows.items) for name in available()}


@pytest.mark.parametrize("name", list(MODELS))
class TestEveryModel:
    def test_says_a_rating_or_a_score_for_every_pair_also_unseen_ones(
        self, name: str, fitted: dict[str, Any]
    ) -> None:
        """Also of the user without any rating and of the title that nobody rated."""
        model, rows = _model(fitted, name), rows_of(checkerboard())
        users, items = (x.ravel().astype(np.int32) for x in np.mgrid[: rows.n_users, : rows.n_items])
        assert isinstance(model, PredictsRatings | RanksTitles)
        if isinstance(model, PredictsRatings):
            said = model.predict(users, items)
            assert said.shape == users.shape
            assert np.isfinite(said).all()
            assert said.min() >= 1
            assert said.max() <= 10
            assert len(model.predict(users[:0], items[:0])) == 0
        if isinstance(model, RanksTitles):
            scores = model.scores(np.arange(rows.n_users, dtype=np.int32))
            assert scores.shape == (rows.n_users, rows.n_items)
            assert not np.isnan(scores).any()

    def test_answers_do_not_depend_on_the_order_or_company_of_the_questions(
        self, name: str, fitted: dict[str, Any]
    ) -> None:
        model = _model(fitted, name)
        if not isinstance(model, PredictsRatings):
            pytest.skip(f"{name} predicts no ratings")
        users, items = np.array([3, 0, 3, 7], dtype=np.int32), np.array([1, 2, 5, 0], dtype=np.int32)
        together = model.predict(users, items)
        turned = model.predict(users[::-1].copy(), items[::-1].copy())[::-1]
        alone = np.concatenate([model.predict(users[k : k + 1], items[k : k + 1]) for k in range(4)])
        assert turned == pytest.approx(together, abs=1e-4)
        assert alone == pytest.approx(together, abs=1e-4)

    def test_sees_the_checkerboard(self, name: str) -> None:
        if name in BLIND | SLOW or name not in available():
            pytest.skip(f"{name} is blind to it, slow, or not in this build")
        rows = rows_of(checkerboard())
        protocol = make_protocol("random5", rows, 0)
        model = MODELS[name].make(0)
        if isinstance(model, PredictsRatings):
            said = predict(rows, replace(protocol, folds=protocol.folds[:1]), {name: MODELS[name].make})
            loved = rows.rating[said.targets] >= 8
            assert said.by_model[name][loved].mean() > said.by_model[name][~loved].mean() + 0.5
        else:
            rows = rows_of([row for row in checkerboard() if (row[2] or 0) >= 8])  # who lists it tells it all
            hidden = make_protocol("ranking", rows, 0)
            found = evaluate(rows, hidden, {name: MODELS[name].make, "luck": Constant})
            ndcg = {r.model: r.value or 0.0 for r in found if (r.segment, r.metric) == ("all", "ndcg@10")}
            assert ndcg[name] > ndcg["luck"] + 0.1

    @pytest.mark.parametrize("history", ["all", "protocol"])
    def test_targets_ratings_change_no_prediction(self, name: str, history: History) -> None:
        """Through the runner: with the targets' ratings turned round, every prediction stays what it was."""
        if name not in available() or not hasattr(_brief(name), "predict"):
            pytest.skip(f"{name} predicts no ratings, or is not in this build")
        rows = rows_of(checkerboard())
        protocol = make_protocol("random5", rows, 0)
        protocol = replace(protocol, folds=protocol.folds[:1])
        said = [
            predict(r, protocol, {name: lambda seed: _brief(name)}, history=history)
            for r in (rows, _turned(rows, protocol.folds[0].targets))
        ]
        assert said[0].by_model[name].tolist() == said[1].by_model[name].tolist()

    @pytest.mark.parametrize("history", ["all", "protocol"])
    def test_hidden_ratings_change_no_ranking(self, name: str, history: History) -> None:
        """The same for ranked lists, where whoever has a relevant title both times is offered the same ones."""
        if name not in available() or not hasattr(_brief(name), "scores"):
            pytest.skip(f"{name} ranks no titles, or is not in this build")
        rows = rows_of(checkerboard())
        protocol = make_protocol("ranking", rows, 0)
        one, other = (
            rank(r, protocol, {name: lambda seed: _brief(name)}, history=history)
            for r in (rows, _turned(rows, protocol.folds[0].targets))
        )
        both = np.intersect1d(one.users, other.users)
        assert len(both) > 10
        offered = [found.tops[name][np.isin(found.users, both)].tolist() for found in (one, other)]
        assert offered[0] == offered[1]


def test_a_model_that_says_the_same_of_everything_ranks_at_random() -> None:
    """Ties broken by position would give the alphabet, and with it the first titles, an edge (or the opposite)."""
    lists = [(f"u{u:03}", f"t{t:03}", 9) for u in range(150) for t in range(u % 7, 100, 3)]
    rows = rows_of(lists)
    found = evaluate(rows, make_protocol("ranking", rows, 0), {"luck": Constant})
    (recall,) = [r for r in found if (r.segment, r.metric) == ("all", "recall@10")]
    # about 33 listed of 100, a fifth hidden: 10 of about 73 candidates are shown
    assert recall.value == pytest.approx(10 / 73, abs=0.03)
    assert recall.ci_low is not None
    assert recall.ci_low < 10 / 73 < (recall.ci_high or 0)


@pytest.mark.parametrize("name", ["random5", "ranking"])
def test_figures_do_not_depend_on_the_order_of_the_rows(name: str) -> None:
    lists = checkerboard()
    shuffled = [lists[p] for p in np.random.default_rng(1).permutation(len(lists))]
    models = {
        "bias" if name == "random5" else "popularity": MODELS["bias" if name == "random5" else "popularity"].make
    }
    figures = [_values(evaluate(r, make_protocol(name, r, 0), models)) for r in (rows_of(lists), rows_of(shuffled))]
    assert figures[0] == pytest.approx(figures[1])


def test_models_are_shown_the_rows_that_are_left_and_all_of_them() -> None:
    lists = checkerboard()
    rows = rows_of(lists)
    seen: list[Ratings] = []
    protocol = make_protocol("random5", rows, 0)
    evaluate(rows, protocol, {"spy": lambda seed: Spy(seen)})
    assert [len(r) for r in seen] == [len(lists) - len(f.targets) for f in protocol.folds]


def test_differences_are_taken_on_the_same_rows_and_mirror_each_other() -> None:
    rows = rows_of(checkerboard())
    found = evaluate(
        rows, make_protocol("random5", rows, 0), {"six": lambda s: Constant(s, 6), "five": lambda s: Constant(s, 5)}
    )
    six, five = (next(r for r in found if r.model == m and r.metric == "mse") for m in ("six", "five"))
    truth = rows.rating[~np.isnan(rows.rating)].astype(float)
    assert six.value == pytest.approx(((truth - 6) ** 2).mean())
    assert six.paired["five"].difference == pytest.approx((six.value or 0) - (five.value or 0))
    assert six.paired["five"].ci_low == pytest.approx(-(five.paired["six"].ci_high or 0))
    assert "six" not in six.paired


def test_results_are_valid_json_with_the_promised_fields() -> None:
    rows = rows_of(checkerboard())
    for name in ("random5", "ranking"):
        for result in evaluate(rows, make_protocol(name, rows, 0), {"a": Constant, "b": Constant}):
            plain = json.loads(json.dumps(result.as_json(), allow_nan=False))
            fields = {
                "model",
                "protocol",
                "segment",
                "metric",
                "value",
                "ci_low",
                "ci_high",
                "n",
                "seconds",
                "paired",
            }
            assert set(plain) - {"reason"} == fields
            assert (plain["value"] is None) == ("reason" in plain)


def test_fewer_candidates_than_places_by_hand() -> None:
    """Ten rated titles of 13, two of them hidden: five candidates. All are shown, so recall is 1 and so is coverage."""
    others = [("b", f"t{n:02}", 9) for n in range(13)]
    rows = rows_of([*[("a", f"t{n:02}", 9) for n in range(10)], *others])
    protocol = make_protocol("ranking", rows, 0)
    found = evaluate(rows, protocol, {"luck": Constant})
    (recall,) = [r for r in found if (r.segment, r.metric) == ("all", "recall@20")]
    assert recall.value == 1
    assert recall.n == 2
    rankings = rank(rows, protocol, {"luck": Constant})
    # a: 13 titles less 8 that are left on the list; b: 13 less 11.
    assert (rankings.tops["luck"] >= 0).sum(axis=1).tolist() == [5, 2]


def test_the_variety_of_two_franchises_among_three_titles_is_two_thirds() -> None:
    franchise = np.array([0, 0, 2, 3])
    ten = np.array([[0, 1, 2, -1], [3, -1, -1, -1], [-1, -1, -1, -1]])
    assert judge_rankings._variety(franchise, ten).tolist() == [2 / 3, 1, 0]


def test_nothing_relevant_is_said_in_words() -> None:
    rows = rows_of([("a", f"t{n:02}", 5) for n in range(12)])
    with pytest.raises(EvaluationError, match="8 or more"):
        evaluate(rows, make_protocol("ranking", rows, 0), {"luck": Constant})


def test_a_model_that_cannot_do_what_is_asked_is_skipped_with_a_line() -> None:
    rows, lines = rows_of(checkerboard()), list[str]()
    models = {"popularity": MODELS["popularity"].make, "luck": Constant}
    found = evaluate(rows, make_protocol("random5", rows, 0), models, progress=Lines(lines))
    assert {r.model for r in found} == {"luck"}
    assert any("popularity skipped" in line for line in lines)


def test_names_and_groups_stand_for_models_once_each() -> None:
    assert chosen_models(["bias", "baselines"])[0] == "bias"
    assert len(chosen_models(["all", "own", "cf"])) == len(available())
    with pytest.raises(UnknownModel, match="known are cf"):
        chosen_models(["cf", "nonesuch"])


def _turned(rows: EvaluationRows, targets: Positions) -> EvaluationRows:
    """The same rows, with a 10 for a 1 at the targets and so on."""
    rating = rows.rating.copy()
    rating[targets] = 11 - rating[targets]
    return replace(rows, rating=rating)


def _brief(name: str) -> Any:
    """A model as the registry makes it; a network with one pass over the rows, since only its face is tested here."""
    model = MODELS[name].make(0)
    if MODELS[name].group == "peers":
        model.budget_seconds = 0  # the library's first setting, untuned
    if name in SLOW:
        model.settings = briefer(model.settings, {"epochs": 1, "members": 1, "threads": 1, "trees": 3})
    return model


def _model(fitted: dict[str, Any], name: str) -> Any:
    if name not in fitted:
        pytest.skip(f"{name} is not in this build")
    return fitted[name]


def _values(results: list[Result]) -> dict[tuple[str, str], float]:
    return {(r.segment, r.metric): r.value for r in results if r.value is not None}
