"""Locates the files of a data set: the folder MPREG_DATA_DIR, then the cache, then the network."""

import os
from pathlib import Path

import numpy as np

from mpreg._files import replacing
from mpreg.datasets.archives import DAMAGE, read_npz
from mpreg.datasets.conform import conform
from mpreg.datasets.download import fetch, verify
from mpreg.datasets.images import prepared


def read(name, spec, *, cache_dir=None):
    """Returns `(features, labels, provenance)` of a data set made of files, checked against its `Spec`."""
    folder, cache = data_folder(), cache_folder(cache_dir)
    if folder is not None:
        for file, reader in ((f"{name}.npz", prepared), *spec.prepared):
            if (folder / file).is_file():
                arrays = _conform(*reader(folder / file, spec), spec, folder / file)
                return *arrays, f"read from {file}, a prepared copy that may differ from the published files"
    kept = cache / f"{name}-parsed.npz"
    files = ", ".join(source.file for source in spec.sources)
    if spec.slow and (arrays := _kept(kept, spec)) is not None:
        return *_conform(*arrays, spec, kept), f"read from {files}"
    paths = [_locate(source, name, spec, folder, cache) for source in spec.sources]
    try:
        features, labels = spec.parse(paths, spec)
    except DAMAGE as error:
        raise ValueError(f"{files} is damaged or not in its published format: {error}") from error
    features, labels = _conform(features, labels, spec, paths[0])
    if spec.slow:
        _keep(kept, spec, features, labels)
    return features, labels, f"read from {files}"


def data_folder():
    """Returns the folder in MPREG_DATA_DIR, or None if it is unset or empty."""
    value = os.environ.get("MPREG_DATA_DIR")
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise NotADirectoryError(f"MPREG_DATA_DIR must name a folder that exists. Received: {value!r}")
    return folder


def cache_folder(cache_dir=None):
    """Returns the argument, MPREG_CACHE_DIR, `mpreg` in XDG_CACHE_HOME, or `~/.cache/mpreg`, in this order."""
    if chosen := cache_dir or os.environ.get("MPREG_CACHE_DIR"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mpreg"


def _locate(source, name, spec, folder, cache):
    for place in (folder, cache):
        if place is not None and (path := place / source.file).is_file():
            verify(path, source, advice=f"Delete {path} (or fetch {source.url} again) and repeat.")
            return path
    for file in spec.refused:
        if folder is not None and (folder / file).is_file():
            raise ValueError(
                f"{folder / file} is a pickle, and reading a pickle can run any code, so it is not read. "
                f"Put {source.file!r} there instead ({source.url}), or remove it to let mpreg download that."
            )
    return fetch(source, name=name, cache=cache, max_bytes=spec.max_bytes)


def _kept(path, spec):
    """The arrays of an earlier parse, unless they come from other files or cannot be read."""
    if not path.is_file():
        return None
    try:
        arrays = read_npz(path, max_bytes=spec.max_bytes)
        if str(arrays["digests"]) == _digests(spec):
            return arrays["features"], arrays["labels"]
    except (ValueError, KeyError):
        pass  # parsing once more replaces it
    return None


def _keep(path, spec, features, labels):
    try:
        with replacing(path) as part, open(part, "wb") as file:
            np.savez_compressed(file, features=features, labels=labels, digests=_digests(spec))
    except OSError:
        pass  # a cache that cannot be written costs time, not the data


def _digests(spec):
    return " ".join(source.digest for source in spec.sources)


def _conform(features, labels, spec, path):
    return conform(features, labels, path, shape=spec.shape, classes=spec.classes, values=spec.values)
