"""The clipping plan of a model: chosen per layer once, and tested before use."""

import dataclasses
import functools
import html
import warnings

import keras
import numpy as np
import tensorflow as tf

from mpreg._text import html_table
from mpreg.gradients.leaves import all_layers, twice_owned, weight_owners
from mpreg.gradients.mapped import LOOPED, VECTORIZED, LayerAlone, quiet_conversion
from mpreg.gradients.mixing import EVERY, MixingCheck
from mpreg.gradients.registry import find_rule
from mpreg.gradients.state import check_state
from mpreg.gradients.taps import tapped
from mpreg.gradients.trial import RECORDS, advanced_seeds, by_layers, by_model, make_up, one_by_one, try_out


@dataclasses.dataclass(frozen=True)
class Step:
    """Describes how one layer is clipped.

    Args:
        layer: the layer.
        why: in words.
        rule: its `Rule`, a `LayerAlone`, or None where there is no way.
    """

    layer: object
    why: str
    rule: object

    @property
    def how(self):
        """`"ghost"`, `"vectorized_map"` or `"map_fn"`."""
        return (self.rule.mode or LOOPED) if isinstance(self.rule, LayerAlone) else "ghost"


class ClippingPlan:
    """Is a printable table of how each layer with weights is clipped and why.

    `whole` is None where every layer has a rule; otherwise the whole model runs on each example apart, by
    `"vectorized_map"` or `"map_fn"`, and `why` says what stood in the way. `left_out` counts the examples whose
    gradient was not finite, and which therefore counted as examples without one.

    What a trial cannot show: that records keep apart for inputs unlike those it saw. Made-up records are normal
    numbers, or zeros and ones; a layer that mixes records only where numbers are large passes. So the first batch of a
    `fit` and every thousandth are looked at too, 16 records of them (`mixing.MixingCheck`): what is rarer than that,
    or happens only where a layer draws random numbers, goes unseen.
    """

    def __init__(self, target, steps, *, whole=None, why="", tried=True, seeds=()):
        self.target, self.steps, self.whole, self.why, self.tried = target, steps, whole, why, tried
        self.seeds, self.left_out = list(seeds), 0
        self._mixing = None if whole else MixingCheck(target, steps, training=not self.seeds)

    def check_again(self):
        """Checks the next batch, whatever was checked before."""
        if self._mixing is not None:
            self._mixing.check_again()

    def checked(self, x):
        """Returns the records, checking some batches first; the step fails if records are mixed."""
        return x if self._mixing is None else self._mixing.checked(x)

    def count_left_out(self, count):
        """Adds to `left_out` in a step, with a warning."""
        tf.cond(count > 0, lambda: tf.numpy_function(self._leave_out, [count], tf.int32), lambda: count)

    def _leave_out(self, count):
        self.left_out += int(count)
        warnings.warn(
            f"the gradient of {count} record(s) of a batch was NaN or infinite: they counted as records without a "
            "gradient, so nothing of them was learned. Look for such numbers in the data, or lower the learning rate",
            stacklevel=1,
        )
        return count

    @property
    def rows(self):
        """One dict for each layer: `layer`, `type`, `parameters`, `how` and `why`."""
        owners = [step.layer for step in self.steps] if not self.whole else weight_owners(self.target)
        hows = (
            [(step.how, step.why) for step in self.steps]
            if not self.whole
            else [(self.whole, self.why)] * len(owners)
        )
        return [
            {
                "layer": layer.name,
                "type": type(layer).__name__,
                "parameters": sum(int(np.prod(v.shape)) for v in layer.trainable_variables),
                "how": how,
                "why": why,
            }
            for layer, (how, why) in zip(owners, hows, strict=True)
        ]

    def __str__(self):
        lines = self._table()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
        return f"{text}\n{self._trial()}"

    __repr__ = __str__

    def _repr_html_(self):
        header, *rows = self._table()
        return f"{html_table(header, rows)}<p>{html.escape(self._trial())}</p>"

    def _table(self):
        names = ("layer", "type", "parameters", "how", "why")
        return [names, *([str(row[name]) for name in names] for row in self.rows)]

    def _trial(self):
        text = (
            f"Tried out against one backward pass a record, on {RECORDS} made-up records."
            if self.tried
            else "Not tried out: no made-up records had a gradient."
        )
        if not self.whole:
            text += (
                f" The first batch of a fit and every {EVERY}th are looked at too. That records never mix, for inputs "
                "unlike those, no trial can show."
            )
        return text

    def backward(self, run, copies):
        """Runs the model forwards and backwards once.

        Args:
            run: function without arguments that calls the target and returns `(answers, loss)`.
            copies: rows of each example.

        Returns:
            `(answers, loss, pieces)`.
        """
        tape = tf.GradientTape(watch_accessed_variables=False)
        with tape, tapped(self.steps, tape) as calls:
            answers, loss = run()
        noted = [call for seen in calls for call in seen]
        for call, gradient in zip(noted, tape.gradient(loss, [call.output for call in noted]), strict=True):
            call.gradient = gradient
        pieces = []
        for step, seen in zip(self.steps, calls, strict=True):
            used = [call for call in seen if call.gradient is not None]
            if used:
                pieces.extend(step.rule.pieces(step.layer, used, copies))
        return answers, loss, pieces


def make_plan(target, spec):
    """Returns the plan of a target that is called on tensors like `spec`, nested `tf.TensorSpec`s of a batch.

    Raises:
        ValueError: inputs that are neither numbers nor truth values, a target that keeps what it sees of records or
            adds losses of them, or one whose records cannot be told apart at all.
    """
    x = make_up(spec)
    check_state(target, x)
    seeds = advanced_seeds(target, x)
    training = not seeds  # random layers would differ between the ways of computing that are compared
    truth = one_by_one(target, x, training)
    tried = bool(np.all(truth[0] > 0))
    steps = steps_of(target, seeds)
    plan = ClippingPlan(target, steps, seeds=seeds, tried=tried)
    reason = structural_reason(target, steps) or try_out(
        functools.partial(by_layers, plan, training=training), target, x, truth
    )
    if reason is None:
        return plan
    _check_loops(target, seeds, reason)
    return whole_plan(target, x, truth, training=training, why=reason, seeds=seeds, tried=tried)


def whole_plan(target, x, truth, *, training, why, **options):
    """Returns the tested plan that runs the whole target on each record.

    Args:
        target, x: the model, and a made-up batch.
        truth: what `one_by_one` says of it in this mode.
        training: the mode.
        why: the layers cannot be taken one by one.
        **options: further ones of `ClippingPlan`.

    Raises:
        ValueError: not even a loop over records gives the truth.
    """
    # TensorFlow vectorizes neither loops nor random numbers that differ between records.
    looped = options.get("seeds") or any(isinstance(layer, keras.layers.RNN) for layer in all_layers(target))
    for mode in (LOOPED,) if looped else (VECTORIZED, LOOPED):
        plan = ClippingPlan(target, [], whole=mode, why=why, **options)
        with quiet_conversion():
            failure = try_out(functools.partial(by_model, plan, training=training), target, x, truth)
        if failure is None:
            return plan
    raise ValueError(
        "no way was found to tell the gradients of single records of this model apart: "
        f"a loop over records gives others than one record at a time ({failure})"
    )


def _check_loops(target, seeds, reason):
    """Raises a `ValueError` for a recurrent layer with dropout, if the whole model must run on each record apart.

    TensorFlow compiles a loop over records around a loop over steps that draws random numbers, but not in minutes.
    """
    random = {id(seed) for seed in seeds}
    for layer in all_layers(target):
        if isinstance(layer, keras.layers.RNN) and any(
            id(v) in random for v in layer.non_trainable_variables
        ):
            raise ValueError(
                f"layer {layer.name!r} ({type(layer).__name__}) draws dropout in its loop, and the model must be run "
                f"on each record apart ({reason}): such a step would not compile in any reasonable time. Set dropout "
                "and recurrent_dropout to 0 and put a Dropout layer ahead of it, or use Keras' LSTM, GRU or SimpleRNN"
            )


def steps_of(target, seeds=()):
    """Returns how each layer with weights is clipped by its rule, untested."""
    random = {id(seed) for seed in seeds}
    steps = []
    for layer in weight_owners(target):
        rule, why = find_rule(layer)
        if rule:
            steps.append(Step(layer, why, rule))
        elif any(id(variable) in random for variable in layer.non_trainable_variables):
            steps.append(Step(layer, f"{why}, and it draws random numbers, so it cannot be run again", None))
        else:
            alone = LayerAlone(LOOPED if isinstance(layer, keras.layers.RNN) else None)
            steps.append(Step(layer, f"{why}; the layer alone runs again on each record", alone))
    return steps


def structural_reason(target, steps):
    """Returns why a model cannot be clipped layer by layer, or None."""
    owners = [step.layer for step in steps]
    if owners and owners[0] is target:
        return "the model has weights of its own, outside its layers"
    shared = twice_owned(owners)
    if shared:
        return f"layer {shared!r} shares a weight with another layer"
    for step in steps:
        if step.rule is None:
            return f"layer {step.layer.name!r}: {step.why}"
    return None
