"""TensorFlow's import without its start-up lines."""

import importlib
import os
import re
import sys
import tempfile

START_UP = re.compile(
    rb"[IW]\d{4} |WARNING: All log messages before absl::InitializeLog"
    rb"|E\d{4} .*failed call to cuInit: .*\(303\)"  # there is no driver, so no accelerator that one would miss
)


def import_tensorflow():
    """Imports TensorFlow and has it look for devices, which a command does before anything that needs it.

    TensorFlow 2.21 shows some lines of its import whatever TF_CPP_MIN_LOG_LEVEL says. Where that is above 0, those of
    lower rank than an error are left out, and that there is no driver of an accelerator.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0") == "0" or "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    shown = os.dup(2)  # the file descriptor, because the lines are written by C++
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            tensorflow = importlib.import_module("tensorflow")
            tensorflow.config.list_physical_devices()  # it looks for accelerators now, or in the midst of a command
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            held.seek(0)
            with open(2, "wb", closefd=False) as stderr:
                stderr.writelines(line for line in held if not START_UP.match(line))
