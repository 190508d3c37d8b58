"""DP-SGD: per-example gradient clipping and Gaussian noise."""

import functools
import inspect
from typing import Any

import keras
import tensorflow as tf

from mpreg._validate import check_count
from mpreg.data import refuse_sparse
from mpreg.private import accounting, guards, losses, sampling
from mpreg.private.accounted import Accounted
from mpreg.private.adaptive import AdaptiveClip, FixedClip
from mpreg.private.automatic import AutomaticClip
from mpreg.private.batches import PrivateBatch
from mpreg.private.budget import Budget
from mpreg.private.mechanism import gaussian_sum
from mpreg.private.noise import NoiseSource
from mpreg.private.preparation import Preparation
from mpreg.private.weights import told_weights
from mpreg.training.core.replicas import replicas, summed

RULES = (AdaptiveClip, AutomaticClip)


@keras.saving.register_keras_serializable("mpreg")
class DPSGD(Accounted):
    """Trains a classifier, or any Keras model, with record-level differential privacy.

    Each step clips the gradient of every record to a norm, sums the gradients, adds Gaussian noise of
    `noise_multiplier` times that norm, and divides by the expected batch size; any Keras optimizer applies the
    result. Layers with a rule (see `clipping_plan()`) need no stored per-example gradients: norms and clipped sums
    are computed from the layer's inputs and output gradients in one backward pass.

    The privacy guarantee depends on how batches are drawn. With `mpreg.poisson_batches`, `fit` accounts for
    amplification by sampling; with arrays, which Keras shuffles, every pass counts in full; with anything else every
    step does. `privacy_statement()` says what holds. The loss and metrics that `fit` logs are not private.

    The privacy spent is recorded in a ledger beside the weights, which only grows: restoring, averaging or loading
    weights does not lower it, and files and copies contain it as of when they were made. Steps between a backup and a
    kill are lost together with their weights; if something of them was kept, such as a checkpoint, load that as well.

    Weight regularizers are added after the noise, as they do not depend on records. Sample weights scale a record's
    gradient before clipping. A record with a NaN or infinite gradient or weight contributes nothing, with a warning.
    Steps are not compiled by XLA (Keras warns if `jit_compile=True` asks for it). Under
    `tf.distribute.MirroredStrategy` a step is that of one device, as the first alone adds noise. Layers may be frozen
    and unfrozen, and another loss compiled, at any time; whatever cannot be trained privately is refused, including
    layers, losses and augmentations that mix the records of a batch, as found on made-up batches and some real ones.
    Deploy `model.target_model`, a plain Keras model.

    Source: Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, algorithm 1; Bu et al., "Differentially
    Private Optimization on Large Model at Small Cost", ICML 2023; De et al., "Unlocking High-Accuracy Differentially
    Private Image Classification through Scale", 2022, section 3.2 (augmentation multiplicity).

    Args:
        target: a Keras model without layers that mix records, such as BatchNormalization.
        noise_multiplier: standard deviation of the noise as a multiple of the clip norm, at least 0.
        l2_norm_clip: clip norm of a record's gradient, a number, an `AdaptiveClip` or an `AutomaticClip`.
        microbatch_size: records that go through the model at once, to bound memory; None takes the whole batch, or
            as many as fit where whole per-example gradients must be stored.
        augment: Keras layer or function that returns an augmented batch, each row of it from that row alone; a
            record's gradient is then the mean over `augmentations` augmented copies, and still clipped as one.
        augmentations: copies of each record.
        delta: delta of the statements; may be given with them instead.
        seed: whole number that makes the noise repeatable, for tests; None takes it from the operating system.

    Raises:
        ValueError: an option out of range, or a target with a layer or a step that cannot be made private; at the
            first step, a loss or an optimizer that cannot.

    Example:
    ```python
    model = mpreg.DPSGD.for_budget(target, epsilon=8, delta=1e-5, examples=1500, batch_size=128, epochs=30)
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(mpreg.poisson_batches(*split.members, batch_size=128), epochs=30)
    print(model.privacy_statement())
    ```
    """

    def __init__(
        self,
        target: Any,
        *,
        noise_multiplier: float,
        l2_norm_clip: float | AdaptiveClip | AutomaticClip,
        microbatch_size: int | None = None,
        augment: Any = None,
        augmentations: int = 1,
        delta: float | None = None,
        seed: int | None = None,
        name: str = "dpsgd",
    ):
        clip = l2_norm_clip if isinstance(l2_norm_clip, RULES) else FixedClip(l2_norm_clip)
        guards.check_options(noise_multiplier, clip.initial)
        check_count("augmentations", augmentations, 1)
        if (augment is None) != (augmentations == 1):
            raise ValueError(
                "augment and augmentations go together: a layer, and at least 2 copies. "
                f"Received: augment={augment!r}, augmentations={augmentations!r}"
            )
        for option, value, least in (("microbatch_size", microbatch_size, 1), ("seed", seed, 0)):
            if value is not None:
                check_count(option, value, least)
        guards.check_target(target)
        guards.check_augment(augment)
        gradient_noise = clip.gradient_noise(noise_multiplier)
        super().__init__(target, noise_multiplier=noise_multiplier, delta=delta, name=name)
        self.microbatch_size, self.augment, self.augmentations = microbatch_size, augment, augmentations
        self.seed = seed
        self.clip_rule, self._gradient_noise = clip, gradient_noise
        initial = keras.initializers.Constant(clip.initial)
        self.clip_norm = self.add_weight(
            name="clip_norm", shape=(), dtype="float32", initializer=initial, trainable=False, autocast=False
        )
        self._noise = NoiseSource(seed)
        self._query = gaussian_sum(clip.initial, gradient_noise * clip.initial, self._noise)
        self._preparation = Preparation(self)
        self.observer: Any = (
            None  # of an audit, to be there before the first step: it sees each noisy gradient
        )
        # jit_compile="auto" never means XLA, which cannot leave padding out of metrics
        self.supports_jit = False
        self.built = True

    @classmethod
    def for_budget(
        cls,
        target: Any,
        *,
        epsilon: float,
        delta: float,
        examples: int,
        batch_size: int,
        epochs: int,
        sampling: str = "poisson",
        l2_norm_clip: float | AdaptiveClip | AutomaticClip = 1.0,
        **options: Any,
    ) -> "DPSGD":
        """Returns a `DPSGD` with the noise that keeps a training within a privacy budget.

        Args:
            target: as for `DPSGD`.
            epsilon, delta: the budget.
            examples: number of records to train on.
            batch_size: expected records a step.
            epochs: passes, of `ceil(examples / batch_size)` steps.
            sampling: `"poisson"`, for `mpreg.poisson_batches`, or `"shuffled"`, for arrays, which takes far more noise.
            l2_norm_clip: as for `DPSGD`.
            **options: further options of `DPSGD`.

        Raises:
            ValueError: an option out of range, or a budget that no noise keeps. `fit` later raises one if records or
                batches are others than was said here.
        """
        budget = Budget.plan(
            epsilon=epsilon,
            delta=delta,
            examples=examples,
            batch_size=batch_size,
            epochs=epochs,
            sampling=sampling,
        )
        model = cls(
            target, noise_multiplier=budget.noise(), l2_norm_clip=l2_norm_clip, delta=delta, **options
        )
        model.budget = budget
        return model

    def clipping_plan(self, x: Any = None):
        """Returns a printable plan of how each layer is clipped, and why.

        Args:
            x: a batch of records, needed only where the target does not know its inputs yet.

        Raises:
            ValueError: the target does not know its inputs, or cannot be trained privately.
        """
        return self._preparation.plan_for(self, x)

    def make_train_function(self, force=False):
        """As `keras.Model` has it, but one program for each way of drawing is kept until the model changes."""
        if force or self.train_function is None:  # which is what compile leaves
            self._preparation.forget()
            self.train_function = self._run_step
        self._preparation.follow(self)

    def _run_step(self, iterator):
        drawn = self.ledger.sampling
        key = drawn.expected_size, drawn.repeats_unseen  # all that a step takes from it
        return self._preparation.trace(key, self._make_step)(iterator)

    def _make_step(self):
        chosen = self.train_function
        super().make_train_function(force=True)
        made, self.train_function = self.train_function, chosen
        return made

    def train_step(self, data):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        plan = self._preparation.ready(self, x, y)
        number = self.ledger.count()
        batch = PrivateBatch(self, plan, x, y, told_weights(weights))
        self.ledger.see((x, y), batch.weights)
        expected = batch.expected_size(self.ledger.sampling)
        divisor = 1.0 if losses.loss_reduction(self.loss) == "sum" else expected
        totals, answers, below = batch.clipped(divisor)
        loss_of = functools.partial(losses.batch_loss, self)
        with tf.control_dependencies(self._preparation.loss_check.at(loss_of, y, answers)):
            totals = [tf.identity(total) for total in totals]
        shares = [below / expected] if self.clip_rule.extra_noise else []
        gradients = self._noised(totals, shares, divisor, expected, number)
        if self.observer is not None:
            stddev = self._gradient_noise * self.clip_norm / divisor
            self.observer.see(self, plan, gradients, totals, stddev)
        penalties = self._add_regularizers(gradients)
        with tf.control_dependencies([number]):  # no release that was not counted
            self.optimizer.apply(gradients, self.trainable_variables)
        present = batch.present(answers, self.ledger.sampling)
        loss, rows = batch.logged_loss(present)
        costs = [loss, *(tf.cast(cost, loss.dtype) for cost in penalties)]
        self._loss_tracker.update_state(tf.add_n(costs), sample_weight=rows)
        return self.compute_metrics(*present)

    def _noised(self, totals, shares, divisor, expected, number):
        """Gradients with noise, of clipped sums over the divisor; moves the clip by a noised share, if there is one."""
        clip, rule = tf.convert_to_tensor(self.clip_norm), self.clip_rule
        if self.noise_multiplier > 0:
            state = self._query.make_global_state(clip / divisor, self._gradient_noise * clip / divisor)
            # The share's noise is drawn with the gradients', in units of their standard deviation.
            units = [state.stddev * expected / rule.count_noise for _ in shares]
            scaled = [share * unit for share, unit in zip(shares, units, strict=True)]
            noised = self._query.noised([*totals, *scaled], state, number)
            totals, scaled = noised[: len(totals)], noised[len(totals) :]
            shares = [part / unit for part, unit in zip(scaled, units, strict=True)]
        for share in summed(shares):
            rule.update(self.clip_norm, share)
        return [tf.cast(total, v.dtype) for total, v in zip(totals, self.trainable_variables, strict=True)]

    def _add_regularizers(self, gradients):
        """Adds the gradients of weight regularizers, after the noise, as they know no records; returns the costs.

        Each device adds its share, as the optimizer sums them.
        """
        costs = []
        for index, variable in enumerate(self.trainable_variables):
            if variable.regularizer is not None:
                with tf.GradientTape() as tape:
                    cost = variable.regularizer(variable)
                gradients[index] += tf.convert_to_tensor(tape.gradient(cost, variable.value)) / replicas()
                costs.append(cost)
        return costs

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit` does, and records in the ledger how the batches were drawn."""
        refuse_sparse(x, "x")
        bound = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        known = ("batch_size", "validation_split", "steps_per_epoch")
        drawn = sampling.describe(x, **{name: bound[name] for name in known if name in bound})
        if self.delta is not None:
            accounting.warn_of_delta(self.delta, drawn)
        if self.budget is not None:
            self.budget.check(drawn)
            epochs = bound.get("epochs", 1) - bound.get("initial_epoch", 0)
            steps = epochs * (bound.get("steps_per_epoch") or drawn.steps_per_epoch)
            self.budget.warn(self.privacy_history(), self.noise_multiplier, steps)
        if isinstance(x, tf.data.Dataset) and "shuffle" not in bound:
            kwargs["shuffle"] = False  # Keras warns that it cannot
        self._preparation.check_again()
        with self.ledger.drawn(drawn):
            self._noise.rekey()
            return super().fit(x, y, *args, **kwargs)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.train_on_batch` does; how the batch was drawn counts as unknown."""
        with self.ledger.drawn_outside():
            return super().train_on_batch(*args, **kwargs)

    def get_config(self):
        clip = self.clip_rule
        return {
            **super().get_config(),
            "l2_norm_clip": keras.saving.serialize_keras_object(
                clip if isinstance(clip, RULES) else clip.initial
            ),
            "microbatch_size": self.microbatch_size,
            "augment": keras.saving.serialize_keras_object(self.augment),
            "augmentations": self.augmentations,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        parts = {
            name: keras.saving.deserialize_keras_object(config[name]) for name in ("l2_norm_clip", "augment")
        }
        return super().from_config({**config, **parts})
