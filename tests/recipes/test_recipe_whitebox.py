"""The recipes of the white-box and of the user-level paper, at tiny size."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from mpreg.recipes import nasr2019, song2019
from mpreg.recipes.studies import adaptive, defence_table, federation, setups


@pytest.mark.slow  # four attacks, cross-fitted
def test_both_tables_are_rebuilt_beside_the_published_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nasr2019, "PUBLISHED_SNAPSHOTS", {(1, 2): 57.4})
    found = nasr2019.run("digits", members=40, epochs=1, out=tmp_path)
    assert set(found["access"]) == {"mlp"} and set(found["snapshots"]) == {"1, 2"}
    assert {attack["name"] for attack in found["access"]["mlp"]["attacks"].values()} >= set(nasr2019.ATTACKS)
    assert json.loads((tmp_path / "tables.json").read_text())["snapshots"]["1, 2"]["members"] == 40
    text = (tmp_path / "tables.md").read_text()
    assert "57.4" in text and "white-box, gradients" in text
    assert "Snapshots read together" in capsys.readouterr().out


@pytest.mark.parametrize("build", [nasr2019.alexnet_like, nasr2019.resnet_like, nasr2019.densenet_like])
def test_networks_are_of_their_kind_and_answer_with_probabilities(build):
    model = build(input_shape=(32, 32, 3), classes=10, seed=0)
    answers = model.predict(np.zeros((2, 32, 32, 3), "float32"), verbose=0)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    again = build(input_shape=(32, 32, 3), classes=10, seed=0)
    np.testing.assert_array_equal(model.get_weights()[0], again.get_weights()[0])


def test_made_up_text_is_whole_and_each_user_has_habits():
    tokens, ids = song2019.make_up_text(4, 300, seed=1)
    assert tokens.shape == (1200, song2019.LENGTH + 1) and tokens.min() >= 0 and tokens.max() < song2019.WORDS
    pairs = [set(zip(t[:, :-1].ravel(), t[:, 1:].ravel(), strict=True)) for t in np.split(tokens, 4)]
    halves = [set(zip(t[:, :-1].ravel(), t[:, 1:].ravel(), strict=True)) for t in np.split(tokens, 8)]
    same, other = len(halves[0] & halves[1]), len(halves[0] & halves[2])
    assert same > 1.2 * other and len(pairs) == 4
    assert list(np.bincount(ids)) == [300] * 4


def test_users_are_judged_and_the_text_is_said_to_be_made_up(tmp_path, capsys):
    found = song2019.run(users=8, texts=4, epochs=1, out=tmp_path)
    assert set(found) == {"text", "user, own texts", "user, other texts", "user, losses alone"}
    assert all(0 <= value <= 1 for value in found.values())
    assert "no person wrote any of it" in (tmp_path / "users.md").read_text()
    assert "made-up users" in capsys.readouterr().out


@pytest.mark.slow  # five attacks, each traced
def test_a_federation_is_attacked_by_all_and_drawn(tmp_path, capsys):
    found = federation.run("digits", members=80, rounds=5, out=tmp_path)
    assert len(found) == 6
    assert [row["strongest"] for row in found.values()][-1] == "gradient ascent, rebound"
    document = json.loads((tmp_path / "federation.json").read_text())
    assert all(row["AUC"]["low"] <= row["AUC"]["value"] <= row["AUC"]["high"] for row in document.values())
    assert (tmp_path / "rounds.png").stat().st_size > 5000
    assert all(name in (tmp_path / "federation.md").read_text() for name in found)
    assert "4 participants" in capsys.readouterr().out


@pytest.mark.slow  # shadow models for each row of a sweep
def test_what_attackers_know_is_compared_and_swept(tmp_path, capsys):
    small = {"members": 40, "epochs": 2, "shadows": 4, "sizes": (20, 40), "counts": (4,)}
    found = setups.run("digits", **small, out=tmp_path)
    assert list(found["What the attacker knows"]) == list(setups.SETUPS)
    assert found["What the attacker knows"]["labels"]["strongest"] == "gap"
    assert list(found["Members trained on"]) == ["20", "40"] and list(found["Shadow models"]) == ["4"]
    assert len(list(tmp_path.glob("*.png"))) == 3
    document = json.loads((tmp_path / "setups.json").read_text())
    row = document["Members trained on"]["40"]["AUC"]
    assert row["low"] <= row["value"] <= row["high"]
    assert "What the attacker knows: digits" in capsys.readouterr().out


def test_the_defence_table_lets_attackers_hold_the_model_where_there_is_one(monkeypatch):
    asked = {}
    monkeypatch.setattr(defence_table, "run", lambda **given: asked.update(given))
    for options, keys in (
        ([], ()),
        (["--access", "whitebox", "--attack", "trained"], ("trained", "gradient_norm", "white_box")),
    ):
        assert CliRunner().invoke(defence_table.command, options).exit_code == 0
        assert asked["attacks"] == keys and "access" not in asked
    suite = ["standard", "white_box"]
    assert adaptive._possible(suite, object()) == ["standard"]
    assert (
        adaptive._possible(suite, nasr2019.alexnet_like(input_shape=(32, 32, 3), classes=2, seed=0)) == suite
    )
