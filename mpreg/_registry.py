"""Things by name, in the order in which they were added."""

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Registry(dict):
    """A dict of things by name to which anybody can add.

    Args:
        kind: what they are, for messages: "defence".
    """

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def register(self, name, entry, *, replace=False):
        """Adds an entry and returns it.

        Args:
            name: letters, digits, `.`, `-` and `_`: it stands in commands, between commas, and in file names.
            entry: what it stands for.
            replace: whether it may take the place of another one.

        Raises:
            ValueError: a name that is none, or that is taken.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"the name of a {self.kind} must be letters, digits, '.', '-' and '_', a letter or a digit first. "
                f"Received: {name!r}"
            )
        if name in self and not replace:
            raise ValueError(
                f"there is a {self.kind} {name!r} already. Choose another name, or say replace=True to take its place"
            )
        self[name] = entry
        return entry
