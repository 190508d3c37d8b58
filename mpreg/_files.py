"""Files that are written whole, or not at all."""

import os
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
