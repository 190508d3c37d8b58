"""The options of the min-max game: one place for their defaults and checks."""

import dataclasses

from mpreg._validate import check_count, check_number


class _Required:
    def __repr__(self):
        return "<required>"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GameOptions:
    """How the min-max game is played; `AdversarialRegularization` says what each option does.

    The wrapper and the callback name the options in their signatures, for those who read these, and take the defaults
    from here: `penalty=GameOptions.penalty`.

    Raises:
        TypeError: there is no penalty.
        ValueError: a number out of its range; it quotes the number.
    """

    penalty: float = _Required()
    inference_network: object = "compact"
    attack_steps: int = 1
    attack_optimizer: object = "adam"
    warmup_epochs: int = 1
    reference_batch_size: int = 64
    reference_gain: bool = False
    seed: int = 0

    def __post_init__(self):
        if isinstance(self.penalty, _Required):
            raise TypeError("missing 1 required keyword-only argument: 'penalty'")
        checked = {
            "penalty": check_penalty(self.penalty),
            "attack_steps": check_count("attack_steps", self.attack_steps, 1),
            "warmup_epochs": check_count("warmup_epochs", self.warmup_epochs, 0),
            "reference_batch_size": check_count("reference_batch_size", self.reference_batch_size, 1),
            "seed": check_count("seed", self.seed, 0),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def taken_from(cls, config):
        """The options among the entries of a dict, which loses them."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: config.pop(name) for name in names if name in config})


def check_penalty(penalty):
    """The penalty as a float.

    Raises:
        ValueError: it is no number of at least 0.
    """
    return check_number("penalty", penalty, least=0)
