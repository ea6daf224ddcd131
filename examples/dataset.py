"""Rows of numbers with integer labels: the digits of scikit-learn, or a file of the user's own."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Data", "DataError", "digits", "split", "table"]

Array = np.ndarray[Any, Any]


@dataclass
class Data:
    """Rows of features scaled for training, and labels 0, 1, ..., split into two parts."""

    x: Array
    y: Array
    x_test: Array
    y_test: Array
    classes: int

    def batches(self, size: int) -> Iterator[tuple[Array, Array]]:
        """Minibatches of the training part in order; the last one has what is left."""
        for start in range(0, len(self.x), size):
            yield self.x[start : start + size], self.y[start : start + size]

    def shuffle(self, rng: np.random.Generator) -> None:
        """Put the training part into a new order."""
        order = rng.permutation(len(self.x))
        self.x, self.y = self.x[order], self.y[order]


class DataError(Exception):
    """A table that cannot be trained on; the message says why."""


def digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    images = load_digits()
    return images.data, images.target


def table(path: Path) -> tuple[Array, Array]:
    """X and y from a file.

    Raises:
        DataError: the file is missing, of another kind, or holds something else than such a table.
    """
    readers = {".npz": read_npz, ".csv": read_csv}
    if path.suffix not in readers:
        raise DataError(f"{path}: neither .npz (with X and y) nor .csv (labels in the last column)")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    return checked(path, *readers[path.suffix](path))


def read_npz(path: Path) -> tuple[Array, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in ("X", "y") if name not in archive]
            if missing:
                have = ", ".join(archive) or "nothing"
                raise DataError(f"{path}: no array named {missing[0]}; it holds {have}")
            return archive["X"], archive["y"]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not an archive of numeric arrays ({error})") from error


def read_csv(path: Path) -> tuple[Array, Array]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(k, row) for k, row in enumerate(csv.reader(file), 1) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a text table ({error})") from error
    if rows and not any(is_number(field) for field in rows[0][1]):
        rows = rows[1:]  # a header
    if not rows:
        raise DataError(f"{path}: no rows of numbers")
    first, width = rows[0][0], len(rows[0][1])
    if width < 2:
        raise DataError(f"{path}: one column only; a row is features and, last, a label")
    for line, row in rows:
        if len(row) != width:
            raise DataError(f"{path}: line {line} has {len(row)} columns, line {first} {width}")
        for column, field in enumerate(row, 1):
            if not is_number(field):
                raise DataError(f"{path}: line {line}, column {column}: {field!r} is not a number")
    values = np.array([row for _, row in rows], dtype=np.float64)
    return values[:, :-1], values[:, -1]


def is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def checked(path: Path, X: Array, y: Array) -> tuple[Array, Array]:
    """The table with its labels renumbered 0, 1, ..."""

    def require(holds: Any, text: str) -> None:
        if not holds:
            raise DataError(f"{path}: {text}")

    numeric = X.dtype.kind in "biuf" and y.dtype.kind in "biuf"
    require(numeric, f"X is {X.dtype}, y is {y.dtype}; both must be numbers")
    shaped = X.ndim == 2 and y.ndim == 1 and X.size > 0
    require(shaped, f"X has shape {X.shape}, y {y.shape}; not (rows, features) and (rows,)")
    require(len(X) == len(y), f"X has {len(X)} rows, y has {len(y)}")
    for name, values in (("X", X), ("y", y)):
        for place in np.argwhere(~np.isfinite(values))[:1].tolist():
            require(False, f"{name}{place} is {values[tuple(place)]}; it must be finite")
    for k in np.flatnonzero(y != np.round(y))[:1]:
        require(False, f"y[{k}] is {y[k]}; labels are integers")
    labels, renumbered = np.unique(y, return_inverse=True)
    counted = f"{len(labels)} different labels in {len(X)} rows"
    require(2 <= len(labels) <= len(X) // 6, f"{counted}; 2 or more are needed, with 6 rows each")
    return X, renumbered


def split(X: Array, y: Array) -> Data:
    """A sixth of the rows for testing; features centred and scaled by what the other rows show."""
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order].astype(np.float64), y[order].astype(np.int64)
    cut = len(X) - len(X) // 6
    centre, spread = X[:cut].mean(axis=0), X[:cut].std(axis=0)
    scaled = ((X - centre) / np.where(spread > 0, spread, 1)).astype(np.float32)
    return Data(scaled[:cut], y[:cut], scaled[cut:], y[cut:], int(y.max()) + 1)
