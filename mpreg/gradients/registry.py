"""The registry of rules for per-example gradients of layers, mpreg's and the user's."""

import dataclasses
import types

import keras

from mpreg.gradients.leaves import own_weights

# What a subclass may redefine without changing what the rule of its parent rests on.
HARMLESS = (
    "build",
    "get_config",
    "from_config",
    "compute_mask",
    "compute_output_shape",
    "compute_output_spec",
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """Describes how layers of some classes are clipped without per-example gradients.

    Args:
        pieces: function `(layer, calls, copies)` that returns the pieces, as `rule` says.
        before_activation: whether a call's `output` is what goes into the layer's `activation`, its last deed.
        run: function `(layer, note, inputs, **options)` that stands in for the layer's `call` and answers as it does,
            or None.
        weights: function of a layer that returns the variables that the rule knows.
        refuses: function of a layer that says in words why the rule does not hold for it, or returns None.
    """

    pieces: object
    before_activation: bool = False
    run: object = None
    weights: object = None
    refuses: object = None

    @property
    def name(self):
        """In words."""
        return self.pieces.__name__.replace("_", " ")


_RULES: dict[type, Rule] = {}


def rule(*layer_types, before_activation=False, run=None, weights=None, refuses=None):
    """Registers how a layer's per-example gradients follow from its inputs and output gradients.

    The decorated function is called with the layer, its calls and `copies`, and returns pieces, in sum the gradient
    of each of the layer's trainable variables. A call has `inputs` and `gradient`, that of the loss with respect to
    what the layer answered; both hold a record a row, or `copies` consecutive rows a record where a record is
    augmented. A layer that is called several times has several calls, whose gradients must be added *before* any norm
    is taken: `positions` lays them side by side, `fold_rows` adds them. Pieces are `Rows` (gradients written out),
    `outer_products` (inputs times what came back, as in a dense layer) or `Lookups` (embeddings).

    The rule holds for the classes named and for subclasses that redefine nothing of what they inherit but `build`,
    shapes, masks and configuration; not for layers with LoRA, quantization or weights that it does not know. The
    rule of the nearest class holds, and the last one registered for a class. A plan tries every rule out before it
    trusts it, on made-up records: see `DPSGD.clipping_plan`.

    Args:
        *layer_types: subclasses of `keras.layers.Layer`.
        before_activation: True where the layer's last deed is to call its attribute `activation`: the gradient of a
            call is then that of what the activation was given, which saves the rule its derivative.
        run: function `(layer, note, inputs, **options)` that runs in the place of the layer's `call` and answers as it
            does. `note(inputs, output, **options)` adds a call, which it returns: what comes back to `output` will be
            its `gradient`, and what is computed from it must be computed from that very tensor.
        weights: function of a layer that returns the variables the rule knows; None stands for all that the layer
            owns by itself.
        refuses: function of a layer that returns in words why the rule does not hold for it, or None if it does.

    Raises:
        TypeError: something other than a class of Keras layers is named.

    Example:
    ```python
    from mpreg import gradients

    class Scale(keras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

        def call(self, inputs):
            return inputs * self.scale

    @gradients.rule(Scale)
    def scale(layer, calls, copies):
        products = [gradients.exact(call.inputs) * gradients.exact(call.gradient) for call in calls]
        return [gradients.Rows(layer.scale, gradients.fold_rows(products, copies, layer.scale.shape))]
    ```
    """
    for kind in layer_types:
        if not (isinstance(kind, type) and issubclass(kind, keras.layers.Layer)):
            raise TypeError(f"a rule is for classes of Keras layers. Received: {kind!r}")
    if not layer_types:
        raise TypeError("a rule is for classes of Keras layers. Received: none")

    def register(pieces):
        entry = Rule(pieces, before_activation, run, weights or own_weights, refuses)
        _RULES.update(dict.fromkeys(layer_types, entry))
        return pieces

    return register


def find_rule(layer):
    """Returns `(rule, why)` for a layer: its `Rule`, or None and the reason."""
    kind = type(layer)
    known = next((base for base in kind.__mro__ if base in _RULES), None)
    if known is None:
        return None, "no rule"
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        return None, "no rule for LoRA or quantized weights"
    changed = redefined(kind, known) or ("call" if "call" in vars(layer) else None)
    if changed:
        return None, f"no rule: it is a {known.__name__} with a {changed} of its own"
    entry = _RULES[known]
    reason = entry.refuses(layer) if entry.refuses else None
    if reason:
        return None, f"no rule: {reason}"
    ids = {id(variable) for variable in entry.weights(layer) if variable is not None}
    if any(id(variable) not in ids for variable in layer.trainable_variables):
        return None, f"no rule: it is a {known.__name__} with further weights"
    return entry, f"a rule for {entry.name} layers"


def redefined(kind, known):
    """Returns the name of an attribute that a class overrides from the class with the rule, or None."""
    for base in kind.__mro__[: kind.__mro__.index(known)]:
        for name, value in vars(base).items():
            code = isinstance(value, types.FunctionType | property | classmethod | staticmethod)
            special = name.startswith("__") and name != "__call__"
            if code and not special and name not in HARMLESS and hasattr(known, name):
                return name
    return None
