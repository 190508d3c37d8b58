"""Every defence by name: how to train with it, how strong to make it, and whose records it consumes.

The `usual` strengths are the papers' own or common ones, but for these: the options of split distillation were compared
on reference records of location30's split 0 alone, which are members or non-members in other splits; and the penalty of
`advreg` on location30 was lowered to 1 after a sweep on split 0 itself, where 4 broke the classifier.
`mpreg recipe frontier --validation` is there to choose them by, on one half of the reference records.
"""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import mpreg
from mpreg.attacks import Randomize, ShiftsAndFlips
from mpreg.data import map_arrays
from mpreg.recipes import dpsgd
from mpreg.recipes.studies.experiment import images, table

ANY = "*"
RANDOM_INPUTS = 512  # whose scores take the place of those that are served, for HAMP


@dataclasses.dataclass(frozen=True)
class Task:
    """One training: the setting, its data and split, the seed, and who watches."""

    setting: object
    data: object
    split: mpreg.MembershipSplit
    seed: int
    callbacks: tuple = ()

    def published(self, defence):
        """A defence's published options on this data set, or on the one it stands for; {} where there are none."""
        try:
            return mpreg.preset(defence, self.setting.dataset.removesuffix("-like"))
        except ValueError:
            return {}

    def target(self):
        """A fresh classifier, the same at each call."""
        return self.setting.target(self.data, self.seed)

    def build(self):
        """A fresh classifier, compiled, with weights of its own at each call."""
        return self.setting.compiled(self.setting.fresh(self.data))

    def build_student(self):
        """The same, taught at a third of the rate."""
        slow = self.setting.but(learning_rate=self.setting.learning_rate / 3)
        return slow.compiled(slow.fresh(self.data))

    def fit(self, model, *, epochs=None, callbacks=(), **options):
        """Trains a classifier or its wrapper on the members; returns it."""
        x, y = self.split.members
        self.setting.compiled(model).fit(
            map_arrays(_as_floats, x),
            y,
            batch_size=self.setting.batch_size,
            epochs=epochs or self.setting.epochs,
            verbose=0,
            callbacks=[*self.callbacks, *callbacks],
            **options,
        )
        return model

    def trained(self, wrap=lambda target: target):
        """A clean classifier that was trained inside a wrapper."""
        model = self.fit(wrap(self.target()))
        return getattr(model, "target_model", model)


def _as_floats(array):
    """Bits are stored as whole numbers, which cannot be mixed."""
    return np.asarray(array, np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Defence:
    """A way to train a classifier, or to serve it.

    Attributes:
        name: as commands take it.
        build: function `(task, strength)` that returns the classifier to attack.
        source: the paper.
        knob: what `strength` is.
        strengths: its values for a sweep, from weak to strong; empty where there is nothing to turn.
        usual: strength by data set; `"*"` stands for all others.
        consumes_reference: whether it learns from reference records, which may then leak themselves.
    """

    name: str
    build: Callable
    source: str
    knob: str = ""
    strengths: tuple = ()
    usual: dict = dataclasses.field(default_factory=dict)
    consumes_reference: bool = False

    def strength_for(self, dataset):
        """The usual strength on a data set."""
        return self.usual.get(dataset, self.usual.get(ANY))

    def train(self, setting, data, split, *, seed, strength=None, callbacks=()):
        """The classifier trained and served with this defence; `strength` None is the usual one."""
        if self.consumes_reference and split.reference is None:
            raise ValueError(
                f"the defence {self.name!r} learns from reference records, and the split has none"
            )
        keras.utils.set_random_seed(seed)
        strength = self.strength_for(setting.dataset) if strength is None else strength
        return self.build(Task(setting, data, split, seed, tuple(callbacks)), strength)


def undefended(task, _):
    return task.trained()


def early_stopping(task, share):
    """Stops where the loss on reference records is least, or after a share of the epochs."""
    if share is not None:
        return task.fit(task.target(), epochs=max(1, round(share * task.setting.epochs)))
    patience = max(3, task.setting.epochs // 5)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
    return task.fit(task.target(), callbacks=[stop], validation_data=task.split.reference)


def l2(task, weight):
    return task.fit(mpreg.with_l2(task.target(), weight))


def dropout(task, rate):
    return task.fit(mpreg.with_dropout(task.target(), rate, seed=task.seed))


def label_smoothing(task, smoothing):
    return task.trained(functools.partial(mpreg.LabelSmoothing, smoothing=smoothing))


def confidence_penalty(task, weight):
    return task.trained(functools.partial(mpreg.ConfidencePenalty, weight=weight))


def adversarial(task, penalty):
    return task.trained(
        lambda target: mpreg.AdversarialRegularization(
            target, task.split.reference, penalty=penalty, seed=task.seed
        )
    )


def mixup(task, alpha):
    return task.trained(lambda target: mpreg.MixUpMMD(target, alpha=alpha, mmd_weight=0.0, seed=task.seed))


def mmd(task, weight, *, alpha=0.0):
    return task.trained(
        lambda target: mpreg.MixUpMMD(
            target, task.split.reference, alpha=alpha, mmd_weight=weight, seed=task.seed
        )
    )


def relaxloss(task, alpha):
    options = {**task.published("relaxloss"), "alpha": alpha}
    return task.trained(functools.partial(mpreg.RelaxLoss, **options))


def hamp(task, gamma):
    """Soft labels and an entropy reward in training; served answers keep their order alone."""
    options = {"alpha": 0.03, **task.published("hamp"), "gamma": gamma}
    model = task.trained(functools.partial(mpreg.HAMP, **options))
    rng = np.random.default_rng(task.seed)
    noise = map_arrays(lambda array: Randomize.like(array).draw(RANDOM_INPUTS, rng), task.split.members[0])
    return mpreg.defend(model, mpreg.RankOnly.from_model(model, noise, seed=task.seed))


def reference_distillation(task, temperature):
    model = mpreg.DistillToReference(
        task.build, task.split.reference, temperature=temperature, seed=task.seed
    )
    return _fit_ensemble(task, model)


def split_distillation(task, out, **options):
    """Sub-models stop before they know their records by heart: a third of the epochs."""
    model = mpreg.SplitDistillation(task.build, out=int(out), seed=task.seed, **options)
    return _fit_ensemble(task, model, share=1 / 3)


def split_distillation_of_copies(task, out, **options):
    """The student learns altered copies of the members, for longer and at a lower rate."""
    epochs = max(1, round(0.4 * task.setting.epochs))
    return split_distillation(
        task, out, student_fn=task.build_student, distill_epochs=epochs, copies=_copies(task), **options
    )


def _copies(task):
    if len(task.data.features.shape) == 4:
        return ShiftsAndFlips()
    return mpreg.ensembles.Erased(seed=task.seed)


def split_distillation_and_game(task, penalty):
    """The game is played while the sub-models are distilled."""

    def play(student):
        return mpreg.AdversarialRegularization(student, task.split.reference, penalty=penalty, seed=task.seed)

    return split_distillation_of_copies(task, 10, through=play)


def _fit_ensemble(task, model, *, share=1.0):
    epochs = max(1, round(share * task.setting.epochs))
    model.fit(*task.split.members, epochs=epochs, batch_size=task.setting.batch_size, verbose=0)
    return model.target_model


def stacking(task, _):
    bases = [task.build, RandomForestClassifier(random_state=task.seed)]
    model = mpreg.Stacking(bases, LogisticRegression(max_iter=1000), seed=task.seed)
    return model.fit(
        *task.split.members, epochs=task.setting.epochs, batch_size=task.setting.batch_size, verbose=0
    )


def private(task, epsilon):
    """A small tanh network, large batches, a small clip norm and epochs of its own, as in `mpreg recipe dpsgd`."""
    x, y = task.split.members
    how = dpsgd.PRIVATE.get(task.setting.dataset, dpsgd.USUAL)
    size = min(len(y), how.batch_size)
    image = len(task.data.features.shape) == 4
    network = images(dpsgd.tanh_cnn) if image else table(dpsgd.tanh_mlp)
    model = mpreg.DPSGD.for_budget(
        task.setting.but(network=network).target(task.data, task.seed),
        epsilon=epsilon,
        delta=dpsgd.DELTA,
        examples=len(y),
        batch_size=size,
        epochs=how.epochs,
        l2_norm_clip=how.l2_norm_clip,
    )
    batches = mpreg.poisson_batches(x, y, batch_size=size)
    dpsgd.compiled(model, how).fit(batches, epochs=how.epochs, verbose=0, callbacks=list(task.callbacks))
    return model.target_model


def served(layer):
    """An output defence on the undefended classifier."""
    return lambda task, strength: mpreg.defend(task.trained(), layer(strength))


def label_only(task, _):
    return mpreg.defend(task.trained(), mpreg.LabelOnly())


def memguard(task, budget):
    model = task.trained()
    guard = mpreg.MemGuard(budget=budget, seed=task.seed)
    answers = (model.predict(x, verbose=0) for x, _ in (task.split.members, task.split.reference))
    guard.fit(*answers)
    return mpreg.defend(model, guard)


_ALL = (
    Defence(name="undefended", build=undefended, source="plain training"),
    Defence(
        name="early-stopping",
        build=early_stopping,
        source="plain training, stopped",
        knob="share of the epochs",
        strengths=(0.6, 0.4, 0.25, 0.15, 0.1),
        consumes_reference=True,
    ),
    Defence(
        name="l2",
        build=l2,
        source="Shokri et al., S&P 2017",
        knob="weight decay",
        strengths=(1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
        usual={ANY: 1e-3},
    ),
    Defence(
        name="dropout",
        build=dropout,
        source="Salem et al., NDSS 2019",
        knob="rate",
        strengths=(0.25, 0.5, 0.75, 0.9),
        usual={ANY: 0.5},
    ),
    Defence(
        name="label-smoothing",
        build=label_smoothing,
        source="Szegedy et al., CVPR 2016",
        knob="smoothing",
        strengths=(0.1, 0.3, 0.6, 0.9),
        usual={ANY: 0.3},
    ),
    Defence(
        name="confidence-penalty",
        build=confidence_penalty,
        source="Pereyra et al., 2017",
        knob="weight of the entropy",
        strengths=(0.1, 0.5, 1.0, 2.0),
        usual={ANY: 0.5},
    ),
    Defence(
        name="advreg",
        build=adversarial,
        source="Nasr et al., CCS 2018",
        knob="penalty",
        strengths=(0.5, 1.0, 2.0, 4.0, 8.0),
        usual={"location30": 1.0, ANY: 3.0},
        consumes_reference=True,
    ),
    Defence(
        name="mixup",
        build=mixup,
        source="Zhang et al., ICLR 2018",
        knob="alpha",
        strengths=(0.2, 0.5, 1.0, 4.0),
        usual={ANY: 1.0},
    ),
    Defence(
        name="mmd",
        build=mmd,
        source="Li et al., CODASPY 2021",
        knob="weight of the MMD",
        strengths=(0.5, 1.0, 3.0, 10.0),
        usual={ANY: 3.0},
        consumes_reference=True,
    ),
    Defence(
        name="mixup-mmd",
        build=functools.partial(mmd, alpha=1.0),
        source="Li et al., CODASPY 2021",
        knob="weight of the MMD",
        strengths=(0.5, 1.0, 3.0, 10.0),
        usual={ANY: 3.0},
        consumes_reference=True,
    ),
    Defence(
        name="relaxloss",
        build=relaxloss,
        source="Chen et al., ICLR 2022",
        knob="target loss",
        strengths=(0.2, 0.5, 0.8, 1.2, 1.6, 2.0),
        usual={"purchase100-like": 0.8, ANY: 1.0},
    ),
    Defence(
        name="hamp",
        build=hamp,
        source="Chen and Pattabiraman, NDSS 2024",
        knob="entropy of the labels",
        strengths=(0.3, 0.5, 0.7, 0.8, 0.95),
        usual={"location30": 0.5, "purchase100-like": 0.8, "cifar10": 0.95, ANY: 0.5},
    ),
    Defence(
        name="dmp",
        build=reference_distillation,
        source="Shejwalkar and Houmansadr, AAAI 2021",
        knob="temperature",
        strengths=(1.0, 2.0, 4.0),
        usual={ANY: 1.0},
        consumes_reference=True,
    ),
    Defence(
        name="selena",
        build=split_distillation,
        source="Tang et al., USENIX Security 2022",
        knob="sub-models that never saw a record, of 25",
        strengths=(5, 10, 15),
        usual={ANY: 10},
    ),
    Defence(
        name="selena-copies",
        build=split_distillation_of_copies,
        source="Tang et al., USENIX Security 2022, and altered copies",
        knob="sub-models that never saw a record, of 25",
        strengths=(5, 10, 15),
        usual={ANY: 10},
    ),
    Defence(
        name="selena-advreg",
        build=split_distillation_and_game,
        source="Tang et al. 2022 and Nasr et al. 2018",
        knob="penalty",
        strengths=(0.5, 1.0, 3.0),
        usual={ANY: 1.0},
        consumes_reference=True,
    ),
    Defence(name="stacking", build=stacking, source="Salem et al., NDSS 2019"),
    Defence(
        name="dpsgd",
        build=private,
        source="Abadi et al., CCS 2016",
        knob="epsilon",
        strengths=(1e4, 1e3, 100.0, 32.0, 8.0, 2.0),
        usual={ANY: 8.0},
    ),
    Defence(
        name="top-k",
        build=served(mpreg.TopK),
        source="Shokri et al., S&P 2017",
        knob="k",
        strengths=(3, 1),
        usual={ANY: 1},
    ),
    Defence(
        name="rounding",
        build=served(mpreg.Rounding),
        source="Shokri et al., S&P 2017",
        knob="digits",
        strengths=(3, 1),
        usual={ANY: 1},
    ),
    Defence(
        name="temperature",
        build=served(mpreg.Temperature),
        source="Shokri et al., S&P 2017",
        knob="temperature",
        strengths=(5.0, 20.0),
        usual={ANY: 20.0},
    ),
    Defence(name="label-only", build=label_only, source="Shokri et al., S&P 2017"),
    Defence(
        name="memguard",
        build=memguard,
        source="Jia et al., CCS 2019",
        knob="budget",
        strengths=(0.1, 0.3, 1.0),
        usual={ANY: 1.0},
        consumes_reference=True,
    ),
)
DEFENCES = {defence.name: defence for defence in _ALL}


def chosen(names):
    """The `Defence`s of a comma-separated list; "all" stands for all, and the undefended classifier comes first.

    Raises:
        ValueError: an unknown name; the message lists all names.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    wanted = list(DEFENCES) if wanted == ["all"] else list(dict.fromkeys(["undefended", *wanted]))
    unknown = [name for name in wanted if name not in DEFENCES]
    if unknown:
        raise ValueError(f"defences must be of {', '.join(DEFENCES)}. Received: {', '.join(unknown)}")
    return [DEFENCES[name] for name in wanted]
