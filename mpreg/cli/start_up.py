"""TensorFlow's import without its start-up lines."""

import importlib
import os
import re
import sys
import tempfile

START_UP = re.compile(rb"[IW]\d{4} |WARNING: All log messages before absl::InitializeLog")


def import_tensorflow():
    """Imports TensorFlow, which a command does before anything that needs it.

    TensorFlow 2.21 shows some lines of its import whatever TF_CPP_MIN_LOG_LEVEL says. Where that is above 0, those of
    lower rank than an error are left out.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0") == "0" or "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    shown = os.dup(2)  # the file descriptor, because the lines are written by C++
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            importlib.import_module("tensorflow")
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            held.seek(0)
            with open(2, "wb", closefd=False) as stderr:
                stderr.writelines(line for line in held if not START_UP.match(line))
