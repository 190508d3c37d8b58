"""Folders of images, one for each class, as `keras.utils.image_dataset_from_directory` reads them."""

from collections import Counter
from pathlib import Path

import numpy as np

from mpreg._text import listed
from mpreg.datasets.archives import most_bytes

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
FORMATS = ("PNG", "JPEG", "BMP", "GIF")  # by content: of others, Pillow hands some to programs, as PostScript
MAX_PIXELS = 1 << 26  # of one picture: a guard against those that unpack to any size


def has_pictures(folder):
    """Returns whether a folder holds folders of images."""
    return any(path.suffix.lower() in SUFFIXES for path in Path(folder).glob("*/*"))


def read_pictures(folder, *, size=None):
    """Reads images and their classes.

    Args:
        folder: with a folder for each class, whose names in order are the classes.
        size: pixels of height and of width to bring all pictures to; None where they are of one size.

    Returns:
        uint8 (pictures, height, width, channels) from 0 to 255, 1 channel where all are grey and 3 otherwise; class
        indices (pictures,); names of the classes.

    Raises:
        ValueError: fewer than two classes, a file that is no picture, pictures of several sizes without `size`, or more
            than half of the memory holds.
    """
    from PIL import Image, UnidentifiedImageError

    files = [path for path in sorted(Path(folder).glob("*/*")) if path.suffix.lower() in SUFFIXES]
    names = sorted({path.parent.name for path in files})
    if len(names) < 2:
        raise ValueError(
            f"{folder} must hold a folder with pictures ({', '.join(SUFFIXES)}) for each of at least two classes. "
            f"Received: {listed(names)}"
        )
    pictures, left = [], most_bytes()
    for path in files:
        try:
            with Image.open(path, formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise ValueError(f"it has {picture.width} times {picture.height} pixels")
                grey = picture.mode in ("1", "L")
                picture = picture.convert("L" if grey else "RGB")
                if size is not None:
                    picture = picture.resize((size, size))
                left -= picture.width * picture.height * len(picture.getbands())
                if left < 0:
                    raise ValueError(f"with those before it, it unpacks to more than {most_bytes():,} bytes")
                pictures.append(np.asarray(picture, np.uint8))
        except (
            UnidentifiedImageError,
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombError,
        ) as error:
            raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    sizes = Counter(picture.shape[:2] for picture in pictures)
    if len(sizes) > 1:
        common = ", ".join(f"{high} x {wide}: {count:,}" for (high, wide), count in sizes.most_common(3))
        raise ValueError(
            f"{folder}: pictures must be of one size. Received {len(sizes)} sizes ({common}). Have them brought to "
            "one, with --image-size 32 or image_size=32"
        )
    colour = any(picture.ndim == 3 for picture in pictures)
    if colour:
        pictures = [
            picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1) for picture in pictures
        ]
    stacked = np.stack(pictures)
    labels = np.array([names.index(path.parent.name) for path in files], np.int64)
    return stacked if colour else stacked[..., None], labels, tuple(names)
