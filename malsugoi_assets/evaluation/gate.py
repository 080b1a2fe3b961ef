"""The gate: whether a new build may take the place of the one that predicts, and why, in words.

Both predict the same held-out ratings. Which ratings those are hangs on a hash of user and title alone (`hold_out`), so
neither build ever learnt from one of them, however long ago it was made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from malsugoi_assets.evaluation.hold_out import HoldOut
from malsugoi_assets.recommend.ratings import FloatArray


@dataclass(frozen=True)
class Verdict:
    """What the gate found: `mse` of the new build on `n` held-out ratings, its `difference` to that of `versus`.

    The interval (95 %, bootstrap over users) belongs to the difference; what could not be measured is None.
    """

    accepted: bool
    words: str
    n: int
    mse: float | None = None
    versus: str | None = None
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


def uncontested(held: HoldOut, predicted: FloatArray, why: str) -> Verdict:
    """A build that is accepted without a comparison, for the given reason."""
    mse = float(((predicted.astype(np.float64) - held.rating) ** 2).mean()) if len(held.rating) else None
    return Verdict(True, why, len(held.rating), mse)


def compare(held: HoldOut, predicted: FloatArray, current: FloatArray, name: str, tolerance: float) -> Verdict:
    """Hold a new build's predictions of the targets against those of the current build, called `name`.

    Refused is a build whose mean squared error is higher by more than `tolerance` (rating points²) and not by chance:
    the interval of the difference lies above zero. From a single user there is no interval; then the difference decides.
    """
    if not len(held.rating):
        return uncontested(held, predicted, "accepted: no rating is held out yet, so nothing can be compared")
    result = held.compared({"new": predicted, "current": current})
    found = result.paired["current"]
    difference = found.difference or 0.0
    refused = difference > tolerance and (found.ci_low is None or found.ci_low > 0)
    between = "" if found.ci_low is None else f" [{found.ci_low:+.4f}, {found.ci_high:+.4f}]"
    measured = (
        f"its mean squared error differs by {difference:+.4f}{between} from that of {name} on {result.n:,} held-out "
        "ratings"
    )
    if refused:
        words = f"refused: {measured}, worse by more than {tolerance:g}; {name} goes on predicting"
    elif difference > tolerance:
        words = f"accepted: {measured}, more than {tolerance:g}, but that may be chance"
    else:
        words = f"accepted: {measured}, at most {tolerance:g} is let pass"
    return Verdict(not refused, words, result.n, result.value, name, difference, found.ci_low, found.ci_high)
