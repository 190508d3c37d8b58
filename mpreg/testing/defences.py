"""`check_defence`: training defences and output defences."""

from mpreg._validate import short_repr
from mpreg.outputs import OutputDefence
from mpreg.testing import outputs, training
from mpreg.testing.material import classifier, records
from mpreg.testing.promises import check_promises
from mpreg.training.core.wrapping import Wrapper


def check_defence(make, *, at_zero=None):
    """Checks that a defence keeps the contract of its kind, on a tiny classifier of 6 features and 3 classes.

    A training defence (a `TrainingDefence`, or another `Wrapper` of a target) compiles, fits, is evaluated, saved and
    reloaded as its target is, changes no data, keeps no record in its file, follows the seed and leaves a clean
    `target_model`. An output defence (an `OutputDefence`) keeps every predicted label, answers with probabilities, to
    each query by itself and always the same, and is saved and reloaded in a served model.

    Args:
        make: function `(target, reference)` that returns a new defence. `target` is an untrained Keras classifier with
            a softmax, `reference` a pair `(x, y)` of records that it is not trained on.
        at_zero: the same for the defence at a strength of zero, which must then change nothing; None where it has none.

    Raises:
        AssertionError: it lists each promise that is broken.
        TypeError: what `make` returns is no defence.

    Example:
    ```python
    def test_mine():
        check_defence(
            lambda target, reference: Mine(target, strength=1.0),
            at_zero=lambda target, reference: Mine(target, strength=0.0),
        )
    ```
    """
    made = make(classifier(), records(seed=1))
    if isinstance(made, Wrapper):
        room = training
    elif isinstance(made, OutputDefence):
        room = outputs
    else:
        raise TypeError(
            "make must return a training defence (an mpreg.training.TrainingDefence) or an output defence (an "
            f"mpreg.outputs.OutputDefence). Received: {short_repr(made)}"
        )
    promises = [*room.PROMISES, *([room.at_zero_it_changes_nothing] if at_zero else [])]
    check_promises(type(made).__name__, promises, room.Case(make, at_zero))
