"""Named suites of attacks, and the registry of attacks by key."""

import copy

from mpreg._registry import Registry
from mpreg.attacks.base import Attack
from mpreg.attacks.bayesian_ratio import BayesianRatioAttack
from mpreg.attacks.combined import CombinedAttack
from mpreg.attacks.gap import GapAttack
from mpreg.attacks.imitation import ImitationAttack
from mpreg.attacks.instance_threshold import InstanceThresholdAttack
from mpreg.attacks.label_only import LabelOnlyAttack
from mpreg.attacks.likelihood_ratio import LikelihoodRatioAttack
from mpreg.attacks.moved_queries import MovedQueriesAttack
from mpreg.attacks.quantile import QuantileAttack
from mpreg.attacks.relative import RelativeAttack
from mpreg.attacks.shadow.attack import ShadowAttack
from mpreg.attacks.threshold import SIGNALS, ThresholdAttack
from mpreg.attacks.trained import TrainedAttack
from mpreg.attacks.whitebox.attack import WhiteBoxAttack
from mpreg.attacks.whitebox.norm_threshold import GradientNormAttack


def suite(attacks: str | list | tuple) -> list[Attack]:
    """Returns the attacks of a named suite or a list, checked.

    `"fast"`: the gap attack and a threshold on each signal, global and per class. `"standard"`: these, the trained
    attack and imitation. `"strong"`: these, the attacks by altered queries (label-only, moved), quantile regression,
    and all that need shadow models. `"whitebox"`: the standard ones and those of an attacker who holds the model
    itself. The gap attack is always among them: whoever knows the label of a record can make it.

    Args:
        attacks: `"fast"`, `"standard"`, `"strong"`, `"whitebox"` or a list of `Attack` objects, of keys of attacks
            such as `"loss_threshold"` (those of these suites, and registered ones), and of these four names. An attack
            asked for by itself takes the place of one of the same name in a suite of the list.

    Raises:
        ValueError: an unknown name, an empty list, something that is not an attack or describes itself by what is
            not text, or two of one name.
    """
    if isinstance(attacks, str) and attacks in SUITES:
        return SUITES[attacks]()
    if not isinstance(attacks, list | tuple):
        known = ", ".join(f'"{name}"' for name in SUITES)
        raise ValueError(f"attacks must be {known} or a list of attacks. Received: {attacks!r}")
    if not attacks:
        raise ValueError('attacks is empty. Use "standard", or list at least one attack')
    single = _single(attacks)
    listed = [
        attack
        for given in attacks
        for attack in _meant(given)
        if not _is_suite(given) or attack.name not in single
    ]
    for attack in listed:
        _check(attack)
    has_gap = any(isinstance(attack, GapAttack) for attack in listed)
    listed = listed if has_gap else [GapAttack(), *listed]
    names = [attack.name for attack in listed]
    if len(set(names)) < len(names):
        raise ValueError(f"attacks must have different names. Received: {names}")
    return listed


def optional_in(attacks):
    """Names of the attacks that only the name of a suite asks for: where they lack something they are left out.

    Args:
        attacks: as for `suite`.
    """
    given = [attacks] if isinstance(attacks, str) else attacks
    by_suites = [attack for entry in given if _is_suite(entry) for attack in SUITES[entry]()]
    return {attack.name for attack in by_suites} - _single(given)


def without_records(attacks, optional):
    """The attacks of a list, less those of `optional` names that need the judged records beside the answers to them."""
    return [
        attack
        for attack in attacks
        if attack.name not in optional or not set() < attack.needs <= {"records", "numbers"}
    ]


def _single(attacks):
    """Names of the attacks that a list asks for one by one."""
    return {
        getattr(attack, "name", None) for entry in attacks if not _is_suite(entry) for attack in _meant(entry)
    }


def _is_suite(entry):
    return isinstance(entry, str) and entry in SUITES


def register(attack: Attack | type[Attack], *, replace: bool = False):
    """Registers an attack, so that it can be given by its key; returns it.

    Args:
        attack: an `Attack` with a key, or its class where that is made without arguments. Each evaluation attacks
            with a copy.
        replace: whether it may take the place of one of the same key.

    Raises:
        ValueError: no attack, no key, or a key that is taken.

    Example:
    ```python
    mpreg.attacks.register(Margin)
    mpreg.evaluate(model, split, attacks=["standard", "margin"])
    ```
    """
    made = attack() if isinstance(attack, type) and issubclass(attack, Attack) else attack
    _check(made)
    if made.key is None:
        raise ValueError(f"an attack needs a key to be registered by. Received: {made.name!r} with key=None")
    ATTACKS.register(made.key, made, replace=replace)
    return attack


def _check(attack):
    if not isinstance(attack, Attack) or not isinstance(getattr(attack, "name", None), str):
        raise ValueError(
            f"an attack must be an mpreg.attacks.Attack with a name, fit and score. Received: {attack!r}"
        )
    for said in ("key", "threat_model"):
        if not isinstance(getattr(attack, said), str | None):
            raise ValueError(
                f"the {said} of an attack must be text or None. "
                f"Received: {getattr(attack, said)!r} of {attack.name!r}"
            )


def _meant(given):
    """The attacks that one entry of a list stands for."""
    if not isinstance(given, str):
        return [given]
    if given in SUITES:
        return SUITES[given]()
    if given not in ATTACKS:
        raise ValueError(f"attacks must be of {', '.join([*SUITES, *ATTACKS])}. Received: {given!r}")
    return [copy.deepcopy(ATTACKS[given])]


def fast():
    per_class = [ThresholdAttack(signal, per_class=True) for signal in SIGNALS]
    return [GapAttack(), *map(ThresholdAttack, SIGNALS), *per_class]


def standard():
    return [*fast(), TrainedAttack(), ImitationAttack()]


def strong():
    return [
        *standard(),
        LabelOnlyAttack(),
        MovedQueriesAttack(),
        QuantileAttack(),
        ShadowAttack(),
        InstanceThresholdAttack(),
        LikelihoodRatioAttack(),
        LikelihoodRatioAttack(online=False),
        BayesianRatioAttack(),
        RelativeAttack(),
        CombinedAttack(),
    ]


def whitebox():
    return [*standard(), GradientNormAttack(), WhiteBoxAttack()]


SUITES = {"fast": fast, "standard": standard, "strong": strong, "whitebox": whitebox}
ATTACKS = Registry("attack")  # by key
for _attack in [*strong(), *whitebox()[len(standard()) :]]:
    register(_attack)
