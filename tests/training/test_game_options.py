"""The options of the game: one place for defaults and checks, seen in every signature that takes them."""

import dataclasses
import inspect
import json

import keras
import numpy as np
import pytest
from support import mlp, records

import mpreg
from mpreg.callbacks import AdversarialTraining
from mpreg.training.game.game import MembershipGame
from mpreg.training.game.options import GameOptions


@pytest.mark.parametrize("taker", [mpreg.AdversarialRegularization, AdversarialTraining])
def test_signatures_show_all_options_with_their_defaults(taker):
    parameters = inspect.signature(taker).parameters
    for field in dataclasses.fields(GameOptions):
        assert parameters[field.name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[field.name].default is field.default


@pytest.mark.parametrize(
    "call",
    [
        lambda **options: mpreg.AdversarialRegularization(mlp(), records(), **options),
        lambda **options: AdversarialTraining(records(), **options),
        lambda **options: GameOptions(**options),
    ],
    ids=["wrapper", "callback", "options"],
)
def test_every_door_refuses_the_same(call):
    with pytest.raises(ValueError, match="not both. Received: strength=1.0, penalty=1.0"):
        call(strength=1.0, penalty=1.0)
    with pytest.raises(
        ValueError, match="strength must be a finite number, at least 0. Received: strength=-1.0"
    ):
        call(strength=-1.0)
    for options, words in (
        (
            {"averaging": 1.0},
            "averaging must be a finite number, at least 0 and below 1. Received: averaging=1.0",
        ),
        ({"penalty": -1.0}, "penalty must be a finite number, at least 0. Received: penalty=-1.0"),
        ({"attack_steps": 0}, "attack_steps must be a whole number, at least 1"),
        ({"warmup_epochs": -1}, "warmup_epochs must be a whole number, at least 0"),
        ({"reference_batch_size": 2.5}, "reference_batch_size must be a whole number, at least 1"),
        ({"seed": True}, "seed must be a whole number, at least 0"),
    ):
        with pytest.raises(ValueError, match=words):
            call(**{"penalty": 1.0, **options})


def test_without_strength_and_penalty_the_game_is_the_full_one_at_a_relative_strength():
    options = GameOptions()
    assert (options.strength, options.penalty, options.relative) == (1.7, None, True)
    assert options.reference_gain and options.warmup_epochs == 0 and options.reference_batch_size == 32
    fixed = GameOptions(penalty=2)
    assert (fixed.strength, fixed.penalty, fixed.relative) == (None, 2.0, False)


def test_options_are_plain_numbers_and_cannot_be_changed():
    options = GameOptions(penalty=np.float32(2), attack_steps=np.int64(3), seed=np.uint8(4))
    assert json.dumps([options.penalty, options.attack_steps, options.seed]) == "[2.0, 3, 4]"
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.penalty = 5.0


def test_a_saved_game_keeps_every_option_and_the_penalty_it_has_now():
    options = GameOptions(penalty=2.0, attack_steps=3, warmup_epochs=4, reference_batch_size=5, seed=6)
    game = MembershipGame(dataclasses.replace(options, reference_gain=True), classes=3)
    game.set_penalty(0.5)
    config = game.get_config()
    assert {field.name for field in dataclasses.fields(GameOptions)} < set(config)
    again = MembershipGame.from_config(json.loads(json.dumps(config)))
    assert again.classes == 3 and float(again.penalty.numpy()) == 0.5
    for name in ("attack_steps", "warmup_epochs", "reference_batch_size", "reference_gain", "seed"):
        assert getattr(again.options, name) == getattr(game.options, name) == config[name]


def test_a_game_saved_before_an_option_was_there_takes_its_default():
    config = MembershipGame(GameOptions(penalty=1.0, seed=3), classes=2).get_config()
    del config["reference_gain"]
    again = MembershipGame.from_config(config)
    assert again.options.reference_gain is GameOptions.reference_gain and again.options.seed == 3


def test_a_saved_game_keeps_the_strength_it_has_now():
    game = MembershipGame(GameOptions(averaging=0.5), classes=3)
    game.set_strength(0.75)
    again = MembershipGame.from_config(json.loads(json.dumps(game.get_config())))
    assert again.options.relative and float(again.strength.numpy()) == 0.75
    assert again.options.averaging == 0.5


@pytest.mark.parametrize(("given", "other"), [("strength", "penalty"), ("penalty", "strength")])
def test_the_knob_that_a_game_has_is_the_one_to_turn(given, other):
    model = mpreg.AdversarialRegularization(mlp(), records(), **{given: 2.0})
    setattr(model, given, 0.5)
    assert getattr(model, given) == 0.5
    with pytest.raises(ValueError, match=f"set that instead. Received: {other}=4.0"):
        setattr(model, other, 4.0)


def test_a_game_saved_before_there_was_an_average_averages_nothing():
    config = MembershipGame(GameOptions(penalty=1.0), classes=2).get_config()
    for name in ("averaging", "strength"):
        del config[name]
    assert MembershipGame.from_config(config).options.averaging == 0


def test_a_saved_wrapper_loads_with_its_options(tmp_path):
    model = mpreg.AdversarialRegularization(
        mlp(), records(), penalty=3.0, attack_steps=2, reference_gain=True
    )
    model.save(tmp_path / "game.keras")
    again = keras.saving.load_model(tmp_path / "game.keras")
    assert again.penalty == 3.0
    assert again.game.options.attack_steps == 2 and again.game.options.reference_gain is True
