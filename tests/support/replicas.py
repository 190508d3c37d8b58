"""Run as a program: trains each thing that it is asked for on one device and on two, and prints what came of it.

A process of its own, as a device is split in two before TensorFlow starts.
"""

import json
import logging
import sys

import keras
import numpy as np
import tensorflow as tf

import mpreg
from mpreg import callbacks
from mpreg.private import AdaptiveClip
from mpreg.training import pack_labels
from support import LOSS, linear_attacker, mlp, records

X, Y = records(48)
REFERENCE = records(24, seed=2)
SPLIT = mpreg.MembershipSplit(records(40), REFERENCE, records(60, seed=1))


def private(target, **options):
    options = {"noise_multiplier": 1.0, "l2_norm_clip": 0.5, "delta": 1e-3, "seed": 0, **options}
    return mpreg.DPSGD(target, **options)


def game(target, **options):
    return mpreg.AdversarialRegularization(target, REFERENCE, seed=0, **options)


def plain(target):
    return target


WRAPPERS = {
    "AdversarialRegularization": game,
    "AdversarialRegularization, penalty": lambda target: game(
        target, penalty=1.0, inference_network=linear_attacker()
    ),
    "ConfidencePenalty": lambda target: mpreg.ConfidencePenalty(target, weight=0.1),
    "ConvexConcaveLoss": mpreg.ConvexConcaveLoss,
    "DPSGD": private,
    "DPSGD, adaptive": lambda target: private(
        target, l2_norm_clip=AdaptiveClip(initial=1.0, count_noise=5.0)
    ),
    "DPSGD, microbatches": lambda target: private(target, microbatch_size=3),
    "Distillation": mpreg.Distillation,
    "HAMP": lambda target: mpreg.HAMP(target, gamma=0.5, alpha=0.01),
    "LabelSmoothing": lambda target: mpreg.LabelSmoothing(target, smoothing=0.1),
    # Blending pairs the records of one device, so that the whole step is another: see the test of equal shares.
    "MixUpMMD, alone": lambda target: mpreg.MixUpMMD(target, REFERENCE, alpha=0, gap=0.0, seed=0),
    "RelaxLoss": lambda target: mpreg.RelaxLoss(target, alpha=0.5),
    # Devices whose shares lie on either side of the level must still turn together.
    "RelaxLoss, at its level": lambda target: mpreg.RelaxLoss(target, alpha=1.17),
}
CALLBACKS = {
    "AdversarialTraining": (lambda: callbacks.AdversarialTraining(REFERENCE, seed=0), plain),
    "Backup": (lambda: callbacks.Backup(f"{sys.argv[1]}/backup"), game),
    "PrivacyBudget": (lambda: callbacks.PrivacyBudget(epsilon=5.0, delta=1e-3), private),
    "PrivacyMeter": (lambda: callbacks.PrivacyMeter(SPLIT), plain),
    "PrivacyTarget": (lambda: callbacks.PrivacyTarget(SPLIT, attack_accuracy=0.6), game),
    "SnapshotRecorder": (lambda: callbacks.SnapshotRecorder((1, 2)), plain),
}


def trained(strategy, wrap, callback=None, *, data=None, optimizer=None, epochs=2):
    """`(model, history)` of a training from the same start."""
    keras.utils.set_random_seed(3)
    with strategy.scope():
        model = wrap(mlp())
        model.compile(optimizer() if optimizer else keras.optimizers.SGD(0.1), LOSS, metrics=["accuracy"])
    given = [callback] if callback else []
    x, y = data or (X, Y)
    if isinstance(model, mpreg.Distillation):
        y = pack_labels(np.full((len(y), 3), 1 / 3, np.float32), y, classes=3)
    options = {} if y is None else {"batch_size": 16}
    fitted = model.fit(x, y, epochs=epochs, shuffle=False, verbose=0, callbacks=given, **options)
    return model, {name: values[-1] for name, values in fitted.history.items()}


def weights(model):
    return [np.array(each) for each in getattr(model, "target_model", model).get_weights()]


def apart(one, two):
    """The largest distance of two models' weights."""
    return float(max(np.abs(a - b).max() for a, b in zip(weights(one), weights(two), strict=True)))


def compare(wrap, make=lambda: None):
    """How far one device and two are from each other."""
    (one, told), (two, also) = trained(ONE, wrap, make()), trained(TWO, wrap, make())
    shares = [[np.array(copy) for copy in variable.value.values] for variable in two.trainable_variables]
    logs = [abs(told[name] - also[name]) for name in told if "cost" not in name]  # of time
    found = {
        "weights": apart(one, two),
        "logs": max(logs),
        "mirrors": float(max(np.abs(a - b).max() for a, b in shares)),
    }
    if hasattr(one, "ledger"):
        found["steps"] = [one.noisy_steps, two.noisy_steps]
        found["epsilon"] = [one.privacy_spent().epsilon, two.privacy_spent().epsilon]
    return found


def told(train):
    """What a training that must not happen says."""
    try:
        train()
    except ValueError as error:
        return str(error)
    return ""


def equal_shares():
    """Blended training where both devices are given the same records, against one device given them once."""
    halves = [(part[:24].reshape(3, 8, *part.shape[1:])) for part in (X, Y)]
    twice = [np.concatenate([half, half], axis=1).reshape(48, *half.shape[2:]) for half in halves]
    once = tf.data.Dataset.from_tensor_slices(tuple(halves))

    def wrap(target):
        return mpreg.MixUpMMD(target, mmd_weight=0, seed=0)

    return apart(trained(ONE, wrap, data=(once, None))[0], trained(TWO, wrap, data=twice)[0])


def noise():
    """Standard deviation of what noise alone did to the weights in one step, as a multiple of what is claimed."""
    moved = []
    for seed in range(4):
        both = [
            trained(
                TWO,
                lambda target, level=level, seed=seed: private(target, noise_multiplier=level, seed=seed),
                data=(X[:16], Y[:16]),
                epochs=1,
            )[0]
            for level in (1.0, 0.0)
        ]
        moved += [
            (a - b).ravel() / (0.1 * 0.5 / 16)
            for a, b in zip(weights(both[0]), weights(both[1]), strict=True)
        ]
    return {"deviation": float(np.concatenate(moved).std()), "numbers": int(np.concatenate(moved).size)}


def whole_batch_twice():
    with TWO.scope():
        model = private(mlp())
        model.compile("sgd", LOSS)
    model.train_on_batch(X[:16], Y[:16])
    return [segment.sampling.copies for segment in model.privacy_history()]


def repeats():
    """Copies charged for a stream in which each record stands on both devices."""
    data = tf.data.Dataset.from_tensor_slices((np.tile(X[:8], (2, 1)), np.tile(Y[:8], 2))).batch(16)
    model, _ = trained(TWO, private, data=(data, None), epochs=1)
    return [segment.sampling.copies for segment in model.privacy_history()]


def poisson():
    """Whether the devices' shares of a Poisson batch, one after the other, are the batch."""

    def draw():
        return mpreg.poisson_batches(np.arange(48.0)[:, None], np.zeros(48, int), batch_size=12, seed=3)

    def whole(part):
        return np.concatenate([each.numpy() for each in TWO.experimental_local_results(part)])

    shared = [[whole(part) for part in batch] for batch in TWO.experimental_distribute_dataset(draw())]
    plain = [[part.numpy() for part in batch] for batch in draw()]
    model, _ = trained(TWO, private, data=(mpreg.poisson_batches(X, Y, batch_size=12), None))
    (segment,) = model.privacy_history()
    return {
        "same": all(
            np.array_equal(a, b)
            for one, two in zip(plain, shared, strict=True)
            for a, b in zip(one, two, strict=True)
        ),
        "kind": segment.sampling.kind,
        "steps": segment.steps,
    }


def fleet():
    """How far a fleet that is trained within a strategy is from one that is not."""
    answers = []
    for strategy in (ONE, TWO):
        with strategy.scope():

            def build():
                model = mlp()
                model.compile("sgd", LOSS)
                return model

            membership = np.random.default_rng(0).random((2, 48)) < 0.5
            made = mpreg.Fleet(build, 2).fit(X, Y, membership=membership, epochs=2, batch_size=16)
            answers.append(made.predict(X))
    return float(np.abs(answers[0] - answers[1]).max())


def refusals():
    def clipping():
        trained(TWO, private, optimizer=lambda: keras.optimizers.SGD(0.1, clipnorm=1.0))

    def watched():
        def wrap(target):
            model = private(target)
            model.observer = object()
            return model

        trained(TWO, wrap)

    return {"clipnorm": told(clipping), "observer": told(watched)}


EXTRAS = {
    function.__name__: function
    for function in (equal_shares, noise, whole_batch_twice, repeats, poisson, fleet, refusals)
}

if __name__ == "__main__":
    tf.get_logger().setLevel(logging.ERROR)
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    ONE, TWO = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    results = {}
    for name in sys.argv[2:]:
        if name in WRAPPERS:
            results[name] = compare(WRAPPERS[name])
        elif name in CALLBACKS:
            make, wrap = CALLBACKS[name]
            results[name] = compare(wrap, make)
        else:
            results[name] = EXTRAS[name]()
    print(json.dumps(results))
