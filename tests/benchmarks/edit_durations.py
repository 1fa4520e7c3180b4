"""How long edits may take: as the vendor says, and as it does not."""

import math
import random
from collections.abc import Callable
from statistics import NormalDist

#: The first seed of a benchmark. The pace's constants were chosen with smaller ones: those flatter it.
FIRST_SEED = 100

#: Draws the seconds that an edit takes. The number: of edits before it, for those that change.
Draw = Callable[[random.Random, int], float]

#: Of a log-normal whose 5th and 95th percentiles are 10 and 30 seconds.
_MIDDLE = math.sqrt(10 * 30)
_SPREAD = math.log(30 / 10) / 2 / NormalDist().inv_cdf(0.95)


def around(seconds: float, spread: float) -> Draw:
    """Return a log-normal's draws. ``spread``: of the logarithm."""
    return lambda dice, _: seconds * math.exp(dice.gauss(0, spread))


def seeded(seed: int) -> random.Random:
    """Return dice that fall alike in each run."""
    return random.Random(seed)  # noqa: S311  # nothing secret


def uniform(dice: random.Random, _: int) -> float:
    return dice.uniform(10, 30)


log_normal = around(_MIDDLE, _SPREAD)

#: The vendor's "usually 10-30 seconds", read in two ways.
USUAL: dict[str, Draw] = {"uniform 10-30 s": uniform, "log-normal 10-30 s": log_normal}
