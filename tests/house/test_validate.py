"""Checks of options: what they return, and that all else is refused and quoted."""

import math
from fractions import Fraction

import numpy as np
import pytest

from mpreg._validate import check_count, check_fraction, check_number

CHECKS = {
    "number": lambda value: check_number("x", value, above=0, most=2),
    "fraction": lambda value: check_fraction("x", value),
    "count": lambda value: check_count("x", value, 1),
}
NO_NUMBERS = (True, "1", None, [1], math.nan, math.inf, -math.inf, np.array([0.5]), 0.0, -1)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_what_is_no_number_or_out_of_range_is_refused_and_quoted(check, value):
    with pytest.raises(ValueError) as caught:
        check(value)
    assert str(caught.value).startswith("x must ")
    assert str(caught.value).endswith(f"Received: x={value!r}")


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("number", 2, float),
        ("number", np.float32(0.25), float),
        ("number", Fraction(1, 4), float),
        ("fraction", np.float64(0.5), float),
        ("count", 1, int),
        ("count", np.uint8(7), int),
        ("count", 10**400, int),
    ],
)
def test_a_value_within_bounds_comes_back_as_a_python_number(name, value, kind):
    found = CHECKS[name](value)
    assert type(found) is kind and found == value


def test_a_whole_number_beyond_all_floats_is_not_finite():
    with pytest.raises(ValueError, match="x must be a finite number, at least 0. Received: x=1000"):
        check_number("x", 10**400, least=0)


@pytest.mark.parametrize("value", [1.5, 2.0, np.float32(3)])
def test_a_count_is_no_float_even_where_it_is_whole(value):
    with pytest.raises(ValueError, match="x must be a whole number, at least 1. Received: x="):
        check_count("x", value, 1)


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "words"),
    [
        ({"least": 1}, (1, 1.5), (0.999,), "at least 1"),
        ({"above": 1}, (1.001,), (1, 0), "above 1"),
        ({"most": 1}, (1, -5), (1.001,), "at most 1"),
        ({"below": 1}, (0.999,), (1,), "below 1"),
        ({"least": 0, "below": 1}, (0, 0.999), (-1e-9, 1), "at least 0 and below 1"),
    ],
)
def test_bounds_hold_as_they_are_said(bounds, inside, outside, words):
    for value in inside:
        assert check_number("x", value, **bounds) == value
    for value in outside:
        with pytest.raises(ValueError, match=f"^x must be a finite number, {words}. Received: x={value}$"):
            check_number("x", value, **bounds)


def test_a_caller_may_say_it_in_words_of_its_own():
    with pytest.raises(ValueError, match="^x must be a share. Received: x=2$"):
        check_number("x", 2, least=0, most=1, what="a share")
    with pytest.raises(ValueError, match="^x must be an integer. Received: x=0$"):
        check_count("x", 0, 1, what="an integer")
