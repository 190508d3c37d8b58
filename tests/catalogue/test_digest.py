"""The digest: the same for the same code and options in any process, another for others."""

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mpreg.catalogue import DEFENCES, SETTINGS, Task, digest_of

ROOT = Path(__file__).resolve().parents[2]
HELPER = """
import functools
import numpy as np

WIDTH = 3


class Base:
    rate = 0.5

    def step(self, x):
        return x * self.rate


class Layer(Base):
    shape = (1, 2)

    def call(self, x):
        return inner(self.step(x))


def inner(x):
    return x + WIDTH


def build(task, strength=1.0):
    # a comment
    def wrap(target):
        return Layer().call(target)

    return wrap(np.asarray(task)) * strength


def around(value):
    return lambda task: build(task) + value


partial = functools.partial(build, strength=2.0)
"""


def load(code):
    """A module's names, compiled from text: a plugin that was edited between two runs."""
    known = {"__name__": "edited_plugin"}
    exec(compile(code, "edited_plugin.py", "exec"), known)
    return known


def digest(code, *, of="build"):
    return digest_of(load(code)[of])


def test_equal_code_has_equal_digests_and_comments_do_not_count():
    assert digest(HELPER) == digest(HELPER) == digest(HELPER.replace("# a comment", "# another"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("* strength", "/ strength"),  # the function itself
        ("strength=1.0", "strength=1.5"),  # its default
        ("Layer().call(target)", "Layer().step(target)"),  # a function within
        ("return inner(self.step(x))", "return inner(x)"),  # a class that it uses
        ("shape = (1, 2)", "shape = (1, 3)"),  # an attribute of that
        ("rate = 0.5", "rate = 0.25"),  # of its base
        ("x * self.rate", "x - self.rate"),
        ("x + WIDTH", "x - WIDTH"),  # a function that the class uses
        ("WIDTH = 3", "WIDTH = 4"),  # a constant that this uses
    ],
)
def test_a_change_of_anything_that_is_used_changes_it(old, new):
    assert HELPER.count(old) == 1
    assert digest(HELPER) != digest(HELPER.replace(old, new))


def test_what_is_not_used_does_not_count():
    assert digest(HELPER) == digest(HELPER + "\nother = 5\ndef more(): return other\n")


def test_options_and_enclosed_values_count():
    known = load(HELPER)
    digests = {
        digest_of(thing)
        for thing in (
            known["build"],
            known["partial"],
            functools.partial(known["build"], strength=3.0),
            functools.partial(known["build"], 3.0),
            known["around"](1),
            known["around"](2),
            known["around"]((2,)),
            known["around"]([2]),
            known["around"]({"a": 2}),
            known["around"]({"a": 3}),
            known["around"]({2, 3}),
            known["around"](np.arange(3)),
            known["around"](np.arange(3.0)),
            known["around"](np.arange(4)),
            known["around"](known["Layer"]),
            known["around"](known["Layer"]()),
            known["around"](known["Layer"]().call),
        )
    }
    assert len(digests) == 17


def test_what_an_object_holds_counts():
    one, other = load(HELPER)["Layer"](), load(HELPER)["Layer"]()
    assert digest_of(one) == digest_of(other)
    other.extra = 1
    assert digest_of(one) != digest_of(other)


def test_circles_end():
    known = load(
        HELPER + "\ndef even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n and even(n - 1)\n"
    )
    held = []
    held.append(held)
    assert digest_of(known["even"], held) != digest_of(known["odd"], held)


def test_every_defence_and_setting_of_ours_has_its_own():
    digests = [digest_of(name, defence.build, Task) for name, defence in DEFENCES.items()]
    assert len(set(digests)) == len(digests)
    settings = [digest_of(SETTINGS["digits"].replace(epochs=epochs)) for epochs in (1, 2)]
    assert settings[0] != settings[1]


def test_another_process_finds_the_same():
    code = (
        "import sys; from mpreg.catalogue import *; from mpreg.catalogue import digest_of, DEFENCES, SETTINGS, Task\n"
        "print(digest_of([(name, one.build) for name, one in DEFENCES.items()], Task, SETTINGS['digits']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)},  # another than here, where it is random
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    here = digest_of([(name, one.build) for name, one in DEFENCES.items()], Task, SETTINGS["digits"])
    assert done.stdout == f"{here}\n"
