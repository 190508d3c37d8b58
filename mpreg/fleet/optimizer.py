"""Makes the update of a Keras optimizer a pure function of slots and weights."""


def make_stateless(optimizer):
    """Makes an optimizer able to `stateless_apply` on TensorFlow, and to `apply` inside a `keras.StatelessScope`.

    On TensorFlow, Keras' optimizers write into `tf.Variable`s through `tf.distribute` and refuse to be called as
    functions. Keras' own backend-neutral updates, which these hide, are the same arithmetic: they are brought back
    to the front, in the object itself, for a copy through its configuration would lose what has been set since.
    """
    neutral = next(base for base in type(optimizer).__mro__ if base.__name__ == "BaseOptimizer")
    hiding = next(base for base in type(optimizer).__mro__ if base.__name__ == "TFOptimizer")
    restored = {
        name: vars(neutral)[name] for name in vars(hiding) if name in vars(neutral) and name != "__init__"
    }
    restored = {name: value for name, value in restored.items() if not name.startswith("__")}
    optimizer.__class__ = type(type(optimizer).__name__, (type(optimizer),), restored)
    if optimizer.built:  # it knows its weights by keys that are other ones now
        keys = {optimizer._var_key(weight): at for at, weight in enumerate(optimizer._trainable_variables)}
        optimizer._trainable_variables_indices = keys


def refuse_unsupported(optimizer):
    """Raises a `ValueError` for optimizers that would not train replicas as `fit` trains each alone."""
    name = type(optimizer).__name__
    if not hasattr(optimizer, "stateless_apply"):
        raise ValueError(
            f"build_fn must return a model compiled with a Keras optimizer. Received: {optimizer!r}"
        )
    if hasattr(optimizer, "inner_optimizer") or hasattr(optimizer, "_optimizers"):
        raise ValueError(
            f"a fleet cannot train with {name}, which wraps other optimizers. Compile the model with one optimizer, "
            "and in float32 or bfloat16: mixed_float16 needs a wrapper that scales the loss"
        )
    if optimizer.gradient_accumulation_steps or optimizer.use_ema:
        raise ValueError(
            "a fleet trains without gradient accumulation and moving averages of the weights. Received: "
            f"gradient_accumulation_steps={optimizer.gradient_accumulation_steps}, use_ema={optimizer.use_ema}"
        )
