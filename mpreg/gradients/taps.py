"""Records the inputs of a model's layers and their output gradients during a pass."""

import contextlib
import dataclasses
import functools


@dataclasses.dataclass
class LayerCall:
    """Holds one call of a layer.

    Args:
        inputs: the tensor that it was called on, or several.
        output: what its activation was about to be given, or its answer where it has none.
        options: the other arguments of its `call`; for a rule with a `run` of its own, what that noted.
        gradient: of the loss with respect to `output`; None until known.
    """

    inputs: object
    output: object
    options: dict
    gradient: object = None


@contextlib.contextmanager
def tapped(steps, tape):
    """Records all calls of some layers, and makes the tape watch their outputs before the activation.

    Args:
        steps: of a plan, each a layer and how it is clipped; no layer is inside another.
        tape: a `tf.GradientTape` that is recording and watches no variables.

    Yields:
        A list of calls for each layer, in the order of `steps`, filled while the model runs.
    """
    calls = [[] for _ in steps]
    replaced = [(step.layer, step.layer.__dict__.get("call")) for step in steps]
    try:
        for step, seen in zip(steps, calls, strict=True):
            # In the layer's own __dict__, unseen by what Keras tracks, and gone without a trace afterwards.
            step.layer.__dict__["call"] = _noting(step.layer, step.rule, tape, seen)
        yield calls
    finally:
        for layer, before in replaced:
            if before is None:
                layer.__dict__.pop("call", None)
            else:
                layer.__dict__["call"] = before


def _noting(layer, rule, tape, seen):
    """What stands in for the `call` of a layer."""

    def note(inputs, output, **options):
        tape.watch(output)
        seen.append(LayerCall(inputs, output, options))
        return seen[-1]

    if rule.run is not None:
        return functools.partial(rule.run, layer, note)
    call = layer.call

    def noting(inputs, *args, **options):
        if args:
            raise NotImplementedError(f"layer {layer.name!r} is called with several positional arguments")
        before = len(seen)

        def note_once(output):
            if len(seen) > before or not hasattr(output, "shape"):
                raise NotImplementedError(f"layer {layer.name!r} does not have one output")
            return note(inputs, output, **options).output

        activation = layer.__dict__.get("activation")
        if not rule.before_activation or not callable(activation):
            return note_once(call(inputs, **options))
        layer.__dict__["activation"] = lambda output: activation(note_once(output))
        try:
            return call(inputs, **options)
        finally:
            layer.__dict__["activation"] = activation

    return noting
