"""Privacy accounting: the epsilon of a history of noisy steps, and the noise for a budget.

All of it is dp-accounting's mathematics: Renyi differential privacy (Mironov, CSF 2017; Mironov, Talwar and Zhang,
"Rényi Differential Privacy of the Sampled Gaussian Mechanism", 2019) and privacy loss distributions (Koskela et al.,
AISTATS 2020; Doroshenko et al., PoPETs 2022). Both are upper bounds, so the smaller of the two holds. dp-accounting is
imported where it is first asked: it takes longer to import than the rest of mpreg.
"""

import dataclasses
import functools
import math
import warnings

from mpreg._validate import check_number

LARGE = 40.0  # a privacy loss distribution is not computed above this epsilon: it says nothing and takes gigabytes
INTERVAL = 1e-3  # of its values: within half a percent of 1e-4, from above, in a tenth of the time


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Describes how records were drawn into batches.

    Args:
        kind: `"poisson"`: each record is in each batch with a probability, independently; `"shuffled"`: each
            record is in one batch a pass; `"arbitrary"`: a record may be in every batch.
        examples: number of records; None if unknown.
        batch_size: expected records a batch; None if unknown.
        passes_in: of shuffled batches, the number of steps that a pass takes.
        copies: the most rows of one record in one batch. They move a sum by as many clips, so the noise counts
            as divided by it.
        distinct: of arbitrary batches, whether their making rules out that one holds a record twice.
        unit: what is protected: a `"row"`, or a `"group"`, all rows of one of the groups given.
    """

    kind: str
    examples: int | None = None
    batch_size: float | None = None
    passes_in: int | None = None
    copies: int = 1
    distinct: bool = False
    unit: str = dataclasses.field(default="row", compare=False)  # it costs nothing, so budgets need not tell

    @property
    def probability(self):
        """The probability with which Poisson sampling draws a record."""
        return min(1.0, self.batch_size / self.examples)

    @property
    def repeats_unseen(self):
        """Whether a record may have been in one batch more often than `copies`, which only counts equal rows."""
        return self.kind == "arbitrary" and not self.distinct

    @property
    def expected_size(self):
        """Expected batch size under Poisson sampling, where the actual one is private; else None."""
        return self.batch_size if self.kind == "poisson" else None

    @property
    def steps_per_epoch(self):
        """Number of steps that draw as many records as there are."""
        return math.ceil(self.examples / self.batch_size)

    def event(self, noise_multiplier, exposures):
        """Returns the `dp_accounting.DpEvent` of a number of exposures."""
        import dp_accounting

        once = dp_accounting.GaussianDpEvent(noise_multiplier / self.copies)
        if self.kind == "poisson":
            once = dp_accounting.PoissonSampledDpEvent(self.probability, once)
        return dp_accounting.SelfComposedDpEvent(once, exposures)

    def exposures(self, steps):
        """Returns how often the mechanism may have seen a record, or sampled it, in a number of steps."""
        return math.ceil(steps / self.passes_in) if self.kind == "shuffled" else steps


@dataclasses.dataclass(frozen=True)
class Segment:
    """Describes steps under one sampling and one noise multiplier."""

    sampling: Sampling
    noise_multiplier: float
    steps: int


@dataclasses.dataclass(frozen=True)
class PrivacySpent:
    """Holds epsilon at a delta, by the accountants `rdp` and `pld` (None if it was left out)."""

    delta: float
    rdp: float
    pld: float | None

    @property
    def epsilon(self):
        """The smaller of the two bounds."""
        return self.rdp if self.pld is None else min(self.rdp, self.pld)


def spent(segments, delta, *, tight_up_to=LARGE):
    """Returns the `PrivacySpent` of a history of `Segment`s at `delta`; 0 without steps.

    Args:
        tight_up_to: epsilon by Renyi above which the privacy loss distribution, which is tighter, is left out.
    """
    check_delta(delta)
    merged = {}
    for segment in segments:
        key = (segment.sampling, segment.noise_multiplier)
        # Passes are added up, not steps: two unfinished passes may both hold the same record.
        merged[key] = merged.get(key, 0) + segment.sampling.exposures(segment.steps)
    return _spent(
        tuple((*key, exposures) for key, exposures in merged.items() if exposures), delta, tight_up_to
    )


@functools.lru_cache(maxsize=256)
def _spent(history, delta, tight_up_to):
    if not history:
        return PrivacySpent(delta, 0.0, 0.0)
    if any(noise == 0 for _, noise, _ in history):
        return PrivacySpent(delta, math.inf, None)
    import dp_accounting

    renyi = sum(exposures * _renyi(sampling, noise) for sampling, noise, exposures in history)
    orders = dp_accounting.rdp.RdpAccountant().orders
    rdp = max(0.0, float(dp_accounting.rdp.compute_epsilon(orders, renyi, delta)[0]))
    pld = None
    if rdp <= tight_up_to:
        accountant = dp_accounting.pld.PLDAccountant(value_discretization_interval=INTERVAL)
        for sampling, noise, exposures in history:
            accountant.compose(sampling.event(noise, exposures))
        pld = max(0.0, float(accountant.get_epsilon(delta)))
    return PrivacySpent(delta, rdp, pld)


@functools.lru_cache(maxsize=256)
def _renyi(sampling, noise_multiplier):
    """Rényi divergences of one exposure, by order: what takes long, and is the same for any number of exposures."""
    import dp_accounting

    accountant = dp_accounting.rdp.RdpAccountant()
    accountant.compose(sampling.event(noise_multiplier, 1))
    return accountant.rdp


def steps_within(segments, sampling, noise_multiplier, *, epsilon, delta):
    """Returns the largest number of further steps that keep a history within `epsilon`.

    To a fiftieth of the budget: what is returned always fits, a few more steps might too.

    Returns:
        A whole number; 0 where the next step would exceed the budget.
    """
    unit = sampling.passes_in if sampling.kind == "shuffled" else 1  # epsilon rises by passes there

    def cost(units):
        further = Segment(sampling, noise_multiplier, int(units) * unit)
        return spent([*segments, further], delta).epsilon

    if cost(1) > epsilon:
        return 0
    return unit * int(_largest_within(cost, epsilon, start=64, whole=True))


def noise_for_budget(sampling, steps, *, epsilon, delta):
    """Returns a noise multiplier that keeps a number of steps within `epsilon`, and close to it.

    Raises:
        ValueError: not even noise of 10,000 times the clip would do.
    """

    def cost(inverse):
        return spent([Segment(sampling, 1.0 / inverse, steps)], delta).epsilon

    if cost(1e-4) > epsilon:
        raise ValueError(
            f"no noise keeps {steps} steps within the budget. "
            f"Received: epsilon={epsilon!r}, delta={delta!r}. Train for fewer epochs or raise epsilon"
        )
    return 1.0 / _largest_within(cost, epsilon, start=1.0)


def _largest_within(cost, limit, *, start, whole=False):
    """The largest x, nearly, with `cost(x) <= limit`, for a cost that rises with x; a cost takes a second.

    False position on logarithms, in which these costs are nearly straight.
    """
    near = 0.98 if whole else 0.998
    low, high, x = None, None, float(start)
    for _ in range(40):
        x = max(1.0, float(int(x))) if whole else x
        value = cost(x)
        if value <= limit:
            low = (x, value)
            if value >= near * limit or (high and whole and high[0] - x <= 1) or x > 1e12:
                break
        else:
            high = (x, value)
            if low and whole and x - low[0] <= 1:
                break
        x = _next(low, high, limit)
    return low[0]


def _next(low, high, limit):
    """Where to look next, given a point on either side, if there is one."""
    if low is None or high is None:
        x, value = low or high
        slope = min(8.0, max(limit / max(value, 1e-9), 0.125) ** 1.1)
        return x * (slope if low is None else max(slope, 1.3))
    if not math.isfinite(high[1]) or low[1] <= 0:
        return math.sqrt(low[0] * high[0])
    (x0, y0), (x1, y1) = ((math.log(x), math.log(y)) for x, y in (low, high))
    # Aimed a little below the limit, so that the points on that side come near it too.
    share = min(0.95, max(0.05, (math.log(0.9995 * limit) - y0) / (y1 - y0)))
    return math.exp(x0 + share * (x1 - x0))


def check_delta(delta, examples=None):
    """Raises a `ValueError` for a delta out of range, or one that allows publishing one of the records."""
    what = "strictly between 0 and 1, well below 1 / records"
    check_number("delta", delta, above=0, below=1, what=what)
    if examples is not None and publishes(delta, examples):
        raise ValueError(
            f"delta must be below 1 / records, here 1 / {examples} = {1 / examples:.2g}: publishing one record, drawn "
            f"at random, would keep within it. Received: delta={delta!r}"
        )


def publishes(delta, examples):
    """Returns whether publishing one of `examples` records, drawn at random, would satisfy delta."""
    return delta >= 1 / examples


def warn_of_delta(delta, sampling):
    """Warns of a delta that allows publishing one of the sampled records."""
    if sampling.examples is not None and publishes(delta, sampling.examples):
        warnings.warn(
            f"delta={delta:g} is not below 1 / {sampling.examples} records: publishing one of them, drawn at random, "
            "would keep within it, so no epsilon at this delta protects anybody. Take a delta well below that",
            stacklevel=3,
        )


def check_epsilon(epsilon):
    check_number("epsilon", epsilon, above=0)
