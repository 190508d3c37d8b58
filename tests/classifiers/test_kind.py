"""Logit or probability: one decision, from what is said, the last activation, the loss and the numbers."""

import keras
import numpy as np
import pytest
from support import mlp

import mpreg
from mpreg.classifiers.arrays import only_output
from mpreg.classifiers.kind import answers_are_logits, are_logits, logits_by_last_layer, trains_on_logits

BOTH = (answers_are_logits, trains_on_logits)
PLAIN, OF_LOGITS = (keras.losses.SparseCategoricalCrossentropy(from_logits=which) for which in (False, True))


class Subclassed(keras.Model):
    """Its last layer cannot be read."""

    def call(self, x):
        return x


MODELS = {
    "softmax": mlp,
    "sigmoid": lambda: mlp(units=1, activation="sigmoid"),
    "logits": lambda: mlp(activation=None),
    "layer": lambda: keras.Sequential([mlp(activation=None), keras.layers.Softmax()]),
    "defended": lambda: mpreg.defend(mlp(), mpreg.TopK(2)),
    "subclassed": Subclassed,
}
CERTAIN = ("softmax", "sigmoid", "layer", "defended")


@pytest.mark.parametrize("decide", BOTH)
@pytest.mark.parametrize("name", CERTAIN)
def test_a_last_activation_that_makes_probabilities_decides_by_itself(name, decide):
    for loss in (PLAIN, "sparse_categorical_crossentropy", "mse", None):
        assert decide(MODELS[name](), loss) is False
        assert decide(MODELS[name](), loss, from_logits=False) is False
    with pytest.raises(ValueError, match="its answers are no logits. Remove from_logits=True"):
        decide(MODELS[name](), PLAIN, from_logits=True)


@pytest.mark.parametrize("name", CERTAIN)
def test_a_loss_of_logits_contradicts_probabilities_in_training_alone(name):
    """Keras reads the logits behind a softmax whatever its loss says, so what is served is no mistake."""
    assert answers_are_logits(MODELS[name](), OF_LOGITS) is False
    with pytest.raises(ValueError, match="the target ends in .* but its loss expects logits"):
        trains_on_logits(MODELS[name](), OF_LOGITS)


@pytest.mark.parametrize("decide", BOTH)
@pytest.mark.parametrize("name", ["logits", "subclassed"])
def test_else_what_is_said_decides_and_then_the_loss(name, decide):
    model = MODELS[name]()
    for said in (True, False):
        for loss in (None, PLAIN, OF_LOGITS, "mse"):
            assert decide(model, loss, from_logits=said) is said
    for loss in (
        OF_LOGITS,
        [OF_LOGITS],
        {"out": OF_LOGITS},
        keras.losses.BinaryCrossentropy(from_logits=True),
    ):
        assert decide(model, loss) is True


@pytest.mark.parametrize("loss", [None, "mse", PLAIN, "sparse_categorical_crossentropy", [PLAIN]])
def test_a_last_layer_without_activation_and_a_loss_that_takes_no_logits_contradict_each_other(loss):
    with pytest.raises(ValueError, match="cannot tell whether .* Received: last activation 'linear'"):
        answers_are_logits(MODELS["logits"](), loss)
    message = (
        "not a classifier that mpreg" if loss in (None, "mse") else "answers with logits .* takes them for"
    )
    with pytest.raises(ValueError, match=message):
        trains_on_logits(MODELS["logits"](), loss)


@pytest.mark.parametrize("decide", BOTH)
def test_where_the_last_layer_cannot_be_read_the_loss_tells_or_nothing_does(decide):
    for loss in (PLAIN, "sparse_categorical_crossentropy", [PLAIN]):
        assert decide(MODELS["subclassed"](), loss) is False
    for loss in ("mse", None):
        with pytest.raises(ValueError, match=f"cannot tell whether .*, loss {loss!r}"):
            decide(MODELS["subclassed"](), loss)


def test_of_several_losses_one_that_takes_logits_is_enough():
    for name in ("logits", "subclassed"):
        for losses in ((OF_LOGITS, None), (None, OF_LOGITS), (PLAIN, OF_LOGITS)):
            assert answers_are_logits(MODELS[name](), *losses) is True
    assert answers_are_logits(MODELS["subclassed"](), None, PLAIN) is False


@pytest.mark.parametrize("decide", BOTH)
@pytest.mark.parametrize("said", [None, True, False])
def test_a_sigmoid_of_several_units_is_no_distribution(decide, said):
    with pytest.raises(ValueError, match="a sigmoid of 3 units, whose answers do not sum to one"):
        decide(mlp(activation="sigmoid"), "binary_crossentropy", from_logits=said)


class TestArrays:
    def test_any_number_outside_decides_for_all_sides(self):
        inside, outside = np.array([[0.2, 0.8]]), np.array([[0.2, 1.8]])
        assert not are_logits([inside, inside])
        assert are_logits([inside, outside]) and are_logits([outside, inside])
        assert not are_logits([np.empty((0, 2))])

    def test_what_is_said_wins(self):
        for sides in ([np.array([[-3.0, 3.0]])], [np.array([[0.5, 0.5]])]):
            assert are_logits(sides, from_logits=True) is True
            assert are_logits(sides, from_logits=False) is False
            assert are_logits(sides, coarse=True) is False
            with pytest.raises(ValueError, match="coarse=True is for probabilities"):
                are_logits(sides, from_logits=True, coarse=True)

    def test_only_output(self):
        array = np.zeros((2, 3))
        assert only_output(array) is array
        for alone in ({"a": array}, [array], ({"a": [array]},)):
            assert only_output(alone) is array
        assert only_output([array, array]) is None and only_output({"a": array, "b": array}) is None


def probabilities(classes, records=60, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), records)


class TestOtherUnits:
    """Probabilities in percent, or as numbers of votes, are no logits: softmax of them is sure of everything."""

    @pytest.mark.parametrize("classes", [2, 3, 10, 100])
    @pytest.mark.parametrize("decimals", [0, 1, 2, 8])
    def test_percent_is_refused_however_it_was_rounded(self, classes, decimals):
        percent = np.round(100 * probabilities(classes), decimals)
        with pytest.raises(
            ValueError, match="in percent: divide by 100. If they are logits, say from_logits"
        ):
            are_logits([percent[:1], percent[1:]])
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\].* They are in percent: divide by 100"):
            mpreg.signals.read_answers(percent, np.zeros(len(percent), int), from_logits=False)

    @pytest.mark.parametrize("dtype", ["float16", "float32"])
    def test_percent_in_narrow_types(self, dtype):
        with pytest.raises(ValueError, match="in percent"):
            are_logits([(100 * probabilities(10)).astype(dtype)])

    @pytest.mark.parametrize("whole", [7, 255, 1000])
    def test_so_are_votes(self, whole):
        votes = np.random.default_rng(0).multinomial(whole, probabilities(5))
        with pytest.raises(ValueError, match=f"probabilities times {whole}, to which all rows sum"):
            are_logits([votes])

    def test_one_record_that_sums_to_something_else_makes_them_logits(self):
        for rows in (100 * probabilities(10), 9 * probabilities(10)):
            rows[17] *= 1.1
            assert are_logits([rows]) is True

    @pytest.mark.parametrize("seed", range(20))
    def test_logits_are_not_taken_for_percent(self, seed):
        rng = np.random.default_rng(seed)
        logits = rng.normal(size=(4, 10)) * 3
        for rows in (logits, np.maximum(logits, 0), np.abs(logits), rng.integers(0, 60, (4, 10))):
            assert are_logits([rows]) is True

    def test_where_nothing_varies_a_common_sum_tells_nothing(self):
        assert are_logits([np.array([[0.5, 2.5]])]) is True
        assert are_logits([np.full((9, 3), 5.0)]) is True

    def test_a_single_unit_has_no_sum(self):
        assert are_logits([np.full((9, 1), 100.0)]) is True
        assert are_logits([np.linspace(0, 9, 9)]) is True
        with pytest.raises(ValueError, match="from 0 to 99, as probabilities in percent are"):
            are_logits([np.linspace(0, 99, 9), np.full((3, 1), 50.0)])

    def test_what_is_said_wins(self):
        assert are_logits([100 * probabilities(10)], from_logits=True) is True

    def test_a_model_that_answers_in_percent_is_refused(self):
        model = keras.Sequential([mlp(), keras.layers.Rescaling(100.0)])
        x, y = np.random.default_rng(0).normal(size=(40, *model.input_shape[1:])), np.arange(40) % 3
        split = mpreg.MembershipSplit((x[:20], y[:20]), None, (x[20:], y[20:]))
        with pytest.raises(ValueError, match="in percent: divide by 100"):
            mpreg.evaluate(model, split, attacks="fast")


@pytest.mark.parametrize("name", list(MODELS))
def test_the_last_layer_tells_where_it_can_be_read(name):
    told = logits_by_last_layer(MODELS[name]())
    assert told is (False if name in CERTAIN else {"logits": True}.get(name))


def test_a_last_layer_that_leaves_answers_as_they_are_tells_nothing():
    for model in (
        keras.Sequential([mlp(), keras.layers.Activation("linear", dtype="float32")]),
        mlp(activation="sigmoid"),
        object(),
    ):
        assert logits_by_last_layer(model) is None


def test_the_last_layer_decides_ahead_of_the_looks():
    """Logits that all happen to lie in [0, 1] are still logits."""
    model, rng = mlp(activation=None), np.random.default_rng(0)
    model.set_weights([rng.uniform(0, 0.2, weight.shape) for weight in model.get_weights()])
    x, y = rng.uniform(0, 1, (40, *model.input_shape[1:])), np.arange(40) % 3
    split = mpreg.MembershipSplit((x[:20], y[:20]), None, (x[20:], y[20:]))
    answers = model.predict(x, verbose=0)
    assert answers.min() >= 0 and answers.max() <= 1
    told, said = (mpreg.evaluate(model, split, attacks="fast", **how) for how in ({}, {"from_logits": True}))
    assert told.to_dict()["attacks"] == said.to_dict()["attacks"]
