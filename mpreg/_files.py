"""Files that are written whole, or not at all, and JSON that people can read."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
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


@contextlib.contextmanager
def replacing(path):
    """A path beside `path`, of the same suffix, whose file replaces it when the block ends, and is deleted if it fails.

    A reader never meets half a file, and of two processes that write the same file either may win.

    Args:
        path: of the file to write; folders above it are made.

    Yields:
        The path to write to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{secrets.token_hex(8)}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path):
    """A new folder that appears under its name when the block ends, with all its files on the disk, or not at all.

    Args:
        path: where nothing is yet; folders above it are made.

    Yields:
        The path of the folder to fill, beside it: `.NAME.part`, which a kill leaves there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.mkdir()
    try:
        yield part
        for file in part.iterdir():
            _sync(file)
        _sync(part)
        os.rename(part, path)
        _sync(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sync(path):
    """Has the system write to the disk what it holds of a file or folder."""
    if path.is_dir() and os.name == "nt":  # where a folder cannot be opened
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_outputs(folder, names, inputs, *, others=()):
    """That writing some files into a folder neither replaces what is read nor stands beside what is stale.

    Args:
        folder: need not be there.
        names: of the files that will be written.
        inputs: paths of the files that are read; None among them are passed over.
        others: names of files that belong to these, and that will not be written: they would be another run's.

    Raises:
        ValueError: an output is one of the inputs, or one of `others` is there.
    """
    folder = Path(folder)
    for name in names:
        for path in inputs:
            if path is not None and _is_same_file(folder / name, path):
                raise ValueError(
                    f"{path} is read, and {folder / name} would be written over it. Choose another folder to write"
                )
    stale = [str(folder / name) for name in others if (folder / name).exists()]
    if stale:
        raise ValueError(
            f"the folder holds {', '.join(stale)} of an earlier run, which would stand beside the new files as if they "
            "were of the same model. Remove them, have them written too, or choose another folder"
        )


def sealed(text):
    """Text of a page or of Markdown with a last line, which readers do not see, that tells whether it was changed."""
    return f"{text}{_seal_of(text)}"


def check_as_written(folder, names):
    """That files which are about to be written anew were not changed by a person since they were `sealed`.

    Args:
        folder: need not be there.
        names: of the files; those that are not there are passed over.

    Raises:
        ValueError: a file is not as it was written.
    """
    for path in (Path(folder) / name for name in names):
        if path.is_file() and not _is_as_written(path):
            raise ValueError(
                f"{path} is not as it was written: somebody has filled it in or changed it, and that would be lost. "
                "Move it, or choose another folder to write"
            )


def _is_as_written(path):
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    end = len(_seal_of(""))
    return text[-end:] == _seal_of(text[:-end])


def _seal_of(text):
    return f"<!-- as mpreg wrote it: {hashlib.sha256(text.encode('utf-8')).hexdigest()} -->\n"


def _is_same_file(one, other):
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there
        return False


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
