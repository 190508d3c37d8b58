"""The recipe of MixUp and MMD, on few records and epochs: it runs to the end and writes what it prints."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from support import mlp

import mpreg
from mpreg.catalogue.settings import DIGITS
from mpreg.cli import main
from mpreg.recipes import li2021

SMALL = DIGITS.replace(
    members=64, reference=64, nonmembers=64, network="tanh_mlp", learning_rate=1e-2, epochs=2, batch_size=32
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("li")
    return li2021.run(SMALL, out=out), out


def test_four_classifiers_are_drawn_and_attacked_on_members_and_on_reference_records(run):
    comparison, out = run
    assert list(comparison.reports) == ["no defence", "MixUp", "MMD", "MixUp + MMD"]
    assert all(report.reference.members == 64 for report in comparison.reports.values())
    assert (out / "histograms.png").read_bytes().startswith(b"\x89PNG")
    assert list(json.loads((out / "report.json").read_text("utf-8"))["reports"]) == list(comparison.reports)
    text = (out / "report.md").read_text("utf-8")
    assert "attack on reference" in text and "| MixUp + MMD |" in text


def test_the_same_seed_and_data_make_the_four_comparable(run):
    """All start from the same weights and judge the same records; only what trains them differs."""
    reports = run[0].reports.values()
    scores = [report.attacks["loss threshold"].member_scores for report in reports]
    assert len({one.shape for one in scores}) == 1
    assert not any(np.array_equal(scores[0], other) for other in scores[1:])


def test_features_can_be_blended():
    pixels, labels = np.arange(180, dtype=np.uint8).reshape(30, 6), np.arange(30) % 3
    split = mpreg.MembershipSplit.from_arrays(pixels, labels, members=10, reference=10, seed=0)
    shares = li2021.blendable(split)
    assert (
        shares.members[0].dtype == np.float32
        and np.concatenate([shares.members[0], shares.nonmembers[0]]).max() <= 1
    )
    np.testing.assert_allclose(179 * shares.reference[0], split.reference[0], rtol=1e-6)
    np.testing.assert_array_equal(shares.members[1], split.members[1])


def test_the_rate_falls_to_a_tenth_twice():
    setting = li2021.SteppedSetting(
        dataset="digits", members=90, reference=0, network=None, learning_rate=0.1, epochs=8, batch_size=20
    )
    rate = setting.compile(mlp()).optimizer._learning_rate
    # 5 steps an epoch.
    assert [round(float(rate(step)), 6) for step in (0, 20, 21, 30, 31, 39)] == [
        0.1,
        0.1,
        0.01,
        0.01,
        0.001,
        0.001,
    ]


def test_an_unknown_data_set_is_named():
    with pytest.raises(ValueError, match="dataset must be one of location30, cifar10. Received: 'mars'"):
        li2021.run("mars")


def test_it_is_a_command_with_help():
    done = CliRunner().invoke(main, ["recipe", "li2021", "--help"])
    assert done.exit_code == 0 and "--dataset" in done.output and "--seed" in done.output
