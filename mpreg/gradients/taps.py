"""What goes into the layers of a model, and what comes back to them, noted while it runs."""

import contextlib
import dataclasses

from mpreg.gradients.rules import ACTIVATED


@dataclasses.dataclass
class LayerCall:
    """One call of a layer.

    Args:
        inputs: the tensor that it was called on.
        options: the other arguments of its `call`.
        output: what its activation was about to be given, or its answer where it has none.
        gradient: of the loss with respect to `output`; None until known.
    """

    inputs: object
    options: dict
    output: object
    gradient: object = None


@contextlib.contextmanager
def tapped(layers, tape):
    """Notes all calls of some layers, and has the tape watch their outputs ahead of their activations.

    Args:
        layers: layers to tap, none inside another.
        tape: a `tf.GradientTape` that is recording and watches no variables.

    Yields:
        A list of calls for each layer, in the order of `layers`, filled while the model runs.
    """
    calls = [[] for _ in layers]
    try:
        for layer, seen in zip(layers, calls, strict=True):
            # In the layer's own __dict__, unseen by what Keras tracks, and gone without a trace afterwards.
            layer.__dict__["call"] = _noting(layer, layer.call, tape, seen)
        yield calls
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)


def _noting(layer, call, tape, seen):
    before_activation = _stops_at_activation(layer)

    def noting(inputs, *args, **options):
        if args:
            raise NotImplementedError(f"layer {layer.name!r} is called with several positional arguments")
        noted = LayerCall(inputs, options, None)

        def note(output):
            if noted.output is not None or not hasattr(output, "shape"):
                raise NotImplementedError(f"layer {layer.name!r} does not have one output")
            tape.watch(output)
            noted.output = output
            seen.append(noted)
            return output

        if not before_activation:
            return note(call(inputs, **options))
        activation = layer.__dict__["activation"]
        layer.__dict__["activation"] = lambda output: activation(note(output))
        try:
            return call(inputs, **options)
        finally:
            layer.__dict__["activation"] = activation

    return noting


def _stops_at_activation(layer):
    """Whether a layer's last deed is to call its `activation`, as these of Keras do."""
    return any(type(layer).call is known.call for known in ACTIVATED) and callable(
        layer.__dict__.get("activation")
    )
