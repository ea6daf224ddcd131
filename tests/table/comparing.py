"""How two results are compared: in units in the last place, zeros by sign, any NaN as any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def assert_agrees(
    got: Any,
    want: Array,
    ulps: float,
    regrouped: bool,
    what: str,
    inputs: Sequence[Array] = (),
) -> None:
    """Fail where shape, dtype or an element differs by more than ``ulps`` units in the last place.

    With ``regrouped`` the unit is that of the largest element: sums in another order. ``inputs``,
    of the result's shape, are shown beside the elements that differ.
    """
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype, f"{what}: dtype {got.dtype}, expected {want.dtype}"
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    bad = _differ(got, want, ulps, regrouped)
    if bad.any():
        at = tuple(np.argwhere(bad)[0])
        given = [a[at] for a in inputs]
        shown = f" at {at}" + (f" for {given}" if given else "")
        raise AssertionError(
            f"{what}: {int(bad.sum())} of {bad.size} elements differ;{shown}: "
            f"{got[at]!r}, expected {want[at]!r}"
        )


def _differ(got: Array, want: Array, ulps: float, regrouped: bool) -> Array:
    if want.dtype.kind != "f":
        return np.asarray(got != want)
    with np.errstate(all="ignore"):
        special = ~np.isfinite(want) | ~np.isfinite(got)
        unequal = special & ~((got == want) | (np.isnan(got) & np.isnan(want)))
        if not ulps:
            signs = np.signbit(got) != np.signbit(want)
            return np.asarray(unequal | (~special & ((got != want) | signs)))
        finite = np.abs(want[np.isfinite(want)])
        unit = np.spacing(np.abs(want))
        if regrouped and finite.size:
            unit = np.maximum(unit, np.spacing(np.maximum(finite.max(), want.dtype.type(1))))
        signs = (want == 0) & (got == 0) & (np.signbit(got) != np.signbit(want))
        far = ~special & (np.abs(got - want) > ulps * unit)
        return np.asarray(unequal | far | (signs & (not regrouped)))
