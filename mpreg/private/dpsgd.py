"""DP-SGD: gradients clipped record by record, and noise."""

import concurrent.futures
import inspect
import math

import keras
import tensorflow as tf

from mpreg._validate import check_count
from mpreg.gradients.mapped import answer_specs
from mpreg.gradients.plan import make_plan
from mpreg.private import accounting, guards, sampling
from mpreg.private.accounting import Sampling
from mpreg.private.adaptive import AdaptiveClip, FixedClip
from mpreg.private.batches import PrivateBatch
from mpreg.private.ledger import Ledger
from mpreg.private.mechanism import gaussian_sum
from mpreg.private.noise import NoiseSource
from mpreg.private.repeats import RepeatCounter
from mpreg.private.statement import write_statement
from mpreg.training.core.batch import finite_weights
from mpreg.training.core.wrapping import Wrapper


@keras.saving.register_keras_serializable("mpreg")
class DPSGD(Wrapper):
    """Trains a classifier, or any Keras model, with differential privacy for each record.

    Each step clips the gradient of every record to a norm, sums them, adds Gaussian noise of `noise_multiplier` times
    that norm, and divides by the expected batch size; any Keras optimizer takes it from there. Per-example gradients
    are not stored where a layer has a rule (`clipping_plan()` tells which do): their norms follow from what went into
    the layer and what came back, and the clipped sum from the same tensors, so that one backward pass does.

    How private the result is depends on how batches were drawn. `fit` on `mpreg.poisson_batches` counts with
    amplification by sampling; on arrays, which Keras shuffles, every pass counts in full; on anything else every
    step does. `privacy_statement()` says what holds. The loss and metrics that `fit` logs are not private.

    Weight regularizers are added after the noise, as they know nothing of records. Sample weights scale a record's
    gradient before it is clipped. A record whose gradient is NaN or infinite counts as one without a gradient. Steps
    are not compiled by XLA (Keras warns where `jit_compile=True` asks for it), and there is one replica.
    Deploy `model.target_model`, a plain Keras model.

    Source: Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, algorithm 1; Bu et al., "Differentially
    Private Optimization on Large Model at Small Cost", ICML 2023; De et al., "Unlocking High-Accuracy Differentially
    Private Image Classification through Scale", 2022, section 3.2 (augmentation multiplicity).

    Args:
        target: a Keras model without layers that mix records, such as BatchNormalization.
        noise_multiplier: standard deviation of the noise as a multiple of the clip norm, at least 0.
        l2_norm_clip: clip norm of a record's gradient, a number or an `AdaptiveClip`.
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
        target,
        *,
        noise_multiplier,
        l2_norm_clip,
        microbatch_size=None,
        augment=None,
        augmentations=1,
        delta=None,
        seed=None,
        name="dpsgd",
    ):
        clip = l2_norm_clip if isinstance(l2_norm_clip, AdaptiveClip) else FixedClip(l2_norm_clip)
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
        if delta is not None:
            accounting.check_delta(delta)
        guards.check_target(target)
        guards.check_augment(augment)
        gradient_noise = clip.gradient_noise(noise_multiplier)
        super().__init__(target, name=name)
        self.noise_multiplier = float(noise_multiplier)
        self.microbatch_size, self.augment, self.augmentations = microbatch_size, augment, augmentations
        self.delta, self.seed = delta, seed
        self._clip_rule, self._gradient_noise = clip, gradient_noise
        self.clip_norm = self._state("clip_norm", clip.initial, "float32")
        self.noisy_steps = self._state("noisy_steps", 0, "int64")
        self._noise = NoiseSource(seed)
        self._query = gaussian_sum(clip.initial, gradient_noise * clip.initial, self._noise)
        self._ledger = Ledger(self.noise_multiplier)
        self._repeats = RepeatCounter()
        self._plan, self._budget = None, None
        self._checked_loss = None
        self.supports_jit = (
            False  # jit_compile="auto" never means XLA, which cannot leave padding out of metrics
        )
        self.built = True

    @classmethod
    def for_budget(
        cls,
        target,
        *,
        epsilon,
        delta,
        examples,
        batch_size,
        epochs,
        sampling="poisson",
        l2_norm_clip=1.0,
        **options,
    ):
        """A `DPSGD` with the noise that keeps a training within a budget.

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
        accounting.check_epsilon(epsilon)
        accounting.check_delta(delta)
        for name, value in (("examples", examples), ("batch_size", batch_size), ("epochs", epochs)):
            check_count(name, value, 1)
        if batch_size > examples:
            raise ValueError(
                f"batch_size must be at most examples, {examples}. Received: batch_size={batch_size!r}"
            )
        if sampling not in ("poisson", "shuffled"):
            raise ValueError(f"sampling must be 'poisson' or 'shuffled'. Received: sampling={sampling!r}")
        passes_in = math.ceil(examples / batch_size)
        planned = Sampling(sampling, examples, batch_size, passes_in if sampling == "shuffled" else None)
        noise = accounting.noise_for_budget(planned, epochs * passes_in, epsilon=epsilon, delta=delta)
        model = cls(target, noise_multiplier=noise, l2_norm_clip=l2_norm_clip, delta=delta, **options)
        model._budget = planned
        return model

    def _state(self, name, value, dtype):
        initializer = keras.initializers.Constant(value)
        return self.add_weight(
            name=name, shape=(), dtype=dtype, initializer=initializer, trainable=False, autocast=False
        )

    def clipping_plan(self, x=None):
        """How each layer is clipped, and why: print it.

        Args:
            x: a batch of records, needed only where the target does not know its inputs yet.

        Raises:
            ValueError: the target does not know its inputs.
        """
        if self._plan is None:
            if x is None:
                inputs = getattr(self.target_model, "inputs", None)
                if inputs is None:
                    raise ValueError(
                        "the target does not know its inputs yet: call clipping_plan(x) with some records"
                    )
                x = inputs[0] if len(inputs) == 1 else inputs
            spec = keras.tree.map_structure(
                lambda part: tf.TensorSpec((None, *part.shape[1:]), tf.as_dtype(part.dtype)), x
            )
            self._plan = _eagerly(make_plan, self.target_model, spec)
        return self._plan

    def train_step(self, data):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        guards.check_compiled(self)
        plan = self.clipping_plan(x)
        if self._checked_loss is not self.loss:
            # Alone, a record cannot be mixed with others.
            if not plan.whole:
                _eagerly(guards.check_loss, self, y, answer_specs(self.target_model, x, 3))
            self._checked_loss = self.loss
        batch = PrivateBatch(self, plan, x, y, finite_weights(weights))
        if self._ledger.sampling.repeats_unseen:
            self._repeats.see((x, y), batch.weights)
        expected = batch.expected_size(self._ledger.sampling)
        divisor = 1.0 if guards.loss_reduction(self.loss) == "sum" else expected
        totals, answers, below = batch.clipped(divisor)
        shares = [below / expected] if self._clip_rule.extra_noise else []
        gradients = self._noised(totals, shares, divisor, expected)
        penalties = self._add_regularizers(gradients)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.noisy_steps.assign_add(1)
        loss, rows = batch.logged_loss(answers, self._ledger.sampling)
        self._loss_tracker.update_state(tf.add_n([loss, *penalties]), sample_weight=rows)
        return self._measure(x, y, answers, weights)

    def _noised(self, totals, shares, divisor, expected):
        """Gradients with noise, of clipped sums over the divisor; moves the clip by a noised share, if there is one."""
        clip, rule = tf.convert_to_tensor(self.clip_norm), self._clip_rule
        if self.noise_multiplier > 0:
            state = self._query.make_global_state(clip / divisor, self._gradient_noise * clip / divisor)
            # The share's noise is drawn with the gradients', in units of their standard deviation.
            units = [state.stddev * expected / rule.count_noise for _ in shares]
            scaled = [share * unit for share, unit in zip(shares, units, strict=True)]
            noised = self._query.noised([*totals, *scaled], state, self.noisy_steps.value)
            totals, scaled = noised[: len(totals)], noised[len(totals) :]
            shares = [part / unit for part, unit in zip(scaled, units, strict=True)]
        for share in shares:
            rule.update(self.clip_norm, share)
        return [tf.cast(total, v.dtype) for total, v in zip(totals, self.trainable_variables, strict=True)]

    def _add_regularizers(self, gradients):
        """Adds the gradients of weight regularizers, after the noise, as they know no records; returns the costs."""
        costs = []
        for index, variable in enumerate(self.trainable_variables):
            if variable.regularizer is not None:
                with tf.GradientTape() as tape:
                    cost = variable.regularizer(variable)
                gradients[index] += tf.convert_to_tensor(tape.gradient(cost, variable.value))
                costs.append(cost)
        return costs

    def _measure(self, x, y, answers, weights):
        """The compiled metrics, without padding."""
        if self._ledger.sampling.kind == "poisson":
            present = weights != 0
            y, answers, weights = keras.tree.map_structure(
                lambda part: tf.boolean_mask(part, present), (y, answers, weights)
            )
        return self.compute_metrics(x, y, answers, sample_weight=weights)

    def fit(self, x=None, y=None, *args, **kwargs):
        """As `keras.Model.fit`; records in the ledger how the batches were drawn."""
        bound = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        known = ("batch_size", "validation_split", "steps_per_epoch")
        drawn = sampling.describe(x, **{name: bound[name] for name in known if name in bound})
        self._check_budget(drawn)
        if isinstance(x, tf.data.Dataset) and "shuffle" not in bound:
            kwargs["shuffle"] = False  # Keras warns that it cannot
        self._open(drawn)
        self._noise.rekey()
        try:
            return super().fit(x, y, *args, **kwargs)
        finally:
            self._open(Sampling("arbitrary"))

    def _open(self, drawn):
        self._charge_repeats()
        self._ledger.settle(int(self.noisy_steps.numpy()))
        self._repeats.clear()
        if drawn != self._ledger.sampling:
            self.train_function = None  # it is traced with the divisor
        self._ledger.sampling = drawn

    def _charge_repeats(self):
        """Has the open segment count with the equal rows that its batches held so far."""
        self._ledger.sampling = self._repeats.charged(self._ledger.sampling)

    def _check_budget(self, drawn):
        planned = self._budget
        if planned is None or drawn == planned:
            return
        raise ValueError(
            f"for_budget found the noise for {planned.kind} batches of {planned.batch_size} out of {planned.examples} "
            f"records, but fit was given {_describe(drawn)}. Give fit mpreg.poisson_batches of those records, or "
            "arrays with sampling='shuffled'; or build the model with noise_multiplier"
        )

    def privacy_history(self):
        """The noisy steps so far, a list of `Segment`s: how batches were drawn, noise, number of steps."""
        self._charge_repeats()
        return self._ledger.segments(int(self.noisy_steps.numpy()))

    def privacy_spent(self, delta=None):
        """What training has cost so far: a `PrivacySpent` with `epsilon`, `rdp`, `pld` and `delta`.

        Raises:
            ValueError: no delta here and none in the model.
        """
        return accounting.spent(self.privacy_history(), self._delta(delta))

    def privacy_statement(self, delta=None):
        """What may be claimed of the trained model, in plain words and numbers.

        Raises:
            ValueError: no delta here and none in the model.
        """
        return write_statement(self, self.privacy_history(), self._delta(delta))

    def _delta(self, delta):
        delta = self.delta if delta is None else delta
        if delta is None:
            raise ValueError("say at which delta, well below 1 / records: privacy_statement(delta=1e-5)")
        accounting.check_delta(delta)
        return delta

    @property
    def sampling(self):
        """How the batches of the `fit` under way are drawn, a `Sampling`."""
        self._charge_repeats()
        return self._ledger.sampling

    def save_own_variables(self, store):
        super().save_own_variables(store)
        self._charge_repeats()
        store["privacy_history"] = self._ledger.to_array(int(self.noisy_steps.numpy()))

    def load_own_variables(self, store):
        history = store["privacy_history"]
        own = {name: store[name] for name in store.keys() if name != "privacy_history"}  # noqa: SIM118, an H5 file
        super().load_own_variables(own)
        self._ledger.restore(history)
        self._noise.rekey()  # steps may be counted again, and noise must never be

    def get_config(self):
        return {
            "name": self.name,
            "target": keras.saving.serialize_keras_object(self.target_model),
            "noise_multiplier": self.noise_multiplier,
            "l2_norm_clip": keras.saving.serialize_keras_object(
                self._clip_rule if isinstance(self._clip_rule, AdaptiveClip) else self._clip_rule.initial
            ),
            "microbatch_size": self.microbatch_size,
            "augment": keras.saving.serialize_keras_object(self.augment),
            "augmentations": self.augmentations,
            "delta": self.delta,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        parts = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("target", "l2_norm_clip", "augment")
        }
        return cls(**{**config, **parts})


def _eagerly(function, *args):
    """`function(*args)`, in a thread of its own: a step that is being traced has put eager execution aside."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result()


def _describe(drawn):
    if drawn.kind == "arbitrary":
        return "a source that mpreg cannot look into"
    return f"{drawn.kind} batches of {drawn.batch_size} out of {drawn.examples} records"
