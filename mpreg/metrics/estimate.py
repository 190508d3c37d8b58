"""A number with its confidence interval."""

import math


class Estimate(float):
    """A float that also carries the `low` and `high` limits of its confidence interval.

    It compares, hashes and computes as the plain value (arithmetic gives plain floats) and cannot be changed.
    A format applies to all three numbers; without one they show three decimals.

    Args:
        value: the point estimate, or NaN where it is undefined.
        low, high: its limits, `low <= value <= high`.

    Raises:
        ValueError: if the limits are NaN or crossed, or the value lies outside them.

    Example:
        >>> accuracy = Estimate(0.571, 0.553, 0.589)
        >>> print(accuracy, f"{accuracy:.1%}", accuracy > 0.5, accuracy.high)
        0.571 [0.553, 0.589] 57.1% [55.3%, 58.9%] True 0.589
    """

    __slots__ = ("high", "low")

    def __new__(cls, value, low, high):
        value, low, high = float(value), float(low), float(high)
        if not low <= high or value < low or value > high:
            raise ValueError(
                f"limits must enclose the value. Received: value={value}, low={low}, high={high}"
            )
        self = super().__new__(cls, value)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        return self

    @property
    def interval(self):
        """The limits, `(low, high)`."""
        return self.low, self.high

    def to_dict(self):
        """Returns `{"value": ..., "low": ..., "high": ...}` for JSON; the value is null where undefined."""
        value = None if math.isnan(self) else float(self)
        return {"value": value, "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, numbers):
        """Returns the estimate from the output of `to_dict`."""
        value = numbers["value"]
        return cls(math.nan if value is None else value, numbers["low"], numbers["high"])

    def widened(self, factor):
        """Returns the rate with both limits `factor` times as far away, within [0, 1]."""
        low, high = (float(self) + factor * (limit - self) for limit in self.interval)
        return Estimate(self, max(low, 0.0), min(high, 1.0))

    def __setattr__(self, name, value):
        raise AttributeError(f"Estimate is immutable. Received: {name}={value}")

    def __delattr__(self, name):
        raise AttributeError(f"Estimate is immutable. Received: del {name}")

    def __reduce__(self):
        # Copies and worker processes rebuild it through the door: a slot cannot be set after that.
        return type(self), (float(self), self.low, self.high)

    def __repr__(self):
        return f"Estimate({float(self)!r}, low={self.low!r}, high={self.high!r})"

    def __str__(self):
        return format(self, "")

    def __format__(self, spec):
        value, low, high = (format(number, spec or ".3f") for number in (float(self), *self.interval))
        return f"{value} [{low}, {high}]"
