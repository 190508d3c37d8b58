"""Files that are written whole, or not at all, and JSON that people can read."""

import json
import os
import re
from pathlib import Path


def write_all(folder, contents):
    """Writes files into a folder: all are complete under other names before the first takes its own.

    Args:
        folder: made where it is not there.
        contents: text or bytes by file name.

    Returns:
        Their paths, in order.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    waiting = {folder / name: folder / f".{name}.{os.getpid()}.part" for name in contents}
    try:
        for part, content in zip(waiting.values(), contents.values(), strict=True):
            part.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        for path, part in waiting.items():
            os.replace(part, path)
    finally:
        for part in waiting.values():
            part.unlink(missing_ok=True)
    return list(waiting)


def write_json(content, path=None):
    """JSON text of `content`, a list of numbers on one line; also written to `path` if given.

    Raises:
        ValueError: NaN or an infinite number in it, which JSON has not.
    """
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    # Line breaks within text are escaped, so that these can only be those of the indentation.
    text = re.sub(r"\[\n\s+([-+.\deE,\s]+)\n\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    if path is not None:
        path = Path(path)
        write_all(path.parent, {path.name: text})
    return text
