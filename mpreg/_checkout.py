"""In a checkout, `callbacks/` and `recipes/` lie beside this package: their imports as parts of it are found there."""

import importlib.util
import os
import sys

FOLDERS = {"mpreg.callbacks": "callbacks", "mpreg.recipes": "recipes"}
PACKAGE = os.path.dirname(os.path.abspath(__file__))


class Beside:
    """Finds the two packages beside this one, and nothing else that lies there; an installed copy holds them itself."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in FOLDERS:
            return None
        folder = os.path.join(os.path.dirname(PACKAGE), FOLDERS[name])
        return importlib.util.spec_from_file_location(
            name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
        )


def map_folders():
    """Makes them importable, where this is a checkout; ahead of other finders, which may know another checkout."""
    if not os.path.isdir(os.path.join(PACKAGE, "callbacks")) and Beside not in sys.meta_path:
        sys.meta_path.insert(0, Beside)
