"""Checks of options at the door, and the words in which they are refused."""

import numbers


def check_number(name, value, *, least=None, above=None, most=None, below=None):
    """Raises a `ValueError` that quotes `value` unless it is a finite number within bounds."""
    bounds = [
        (least, lambda bound: value >= bound, "at least"),
        (above, lambda bound: value > bound, "above"),
        (most, lambda bound: value <= bound, "at most"),
        (below, lambda bound: value < bound, "below"),
    ]
    bounds = [bound for bound in bounds if bound[0] is not None]
    number = isinstance(value, numbers.Real) and not isinstance(value, bool) and abs(value) < float("inf")
    if not number or not all(holds(bound) for bound, holds, _ in bounds):
        asked = " and ".join(f"{word} {bound:g}" for bound, _, word in bounds)
        raise ValueError(f"{name} must be a finite number, {asked}. Received: {name}={value!r}")


def check_count(name, value, least):
    """Raises a `ValueError` that quotes `value` unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}. Received: {name}={value!r}")


def brief(value):
    """A value on one short line, for error messages."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else f"{text[:117]}..."
