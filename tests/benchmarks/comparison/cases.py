"""What is compared: plain data, readable by every interpreter without any package."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["BY_NAME", "CASES", "COLD", "Case", "TINY"]

DIGITS, SMALL, LARGE = (64, 64, 10), (20, 64, 64, 2), (784, 512, 512, 10)


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    ``kind`` names the formula (``affine``, ``map``, ``sum``, ``cross_entropy``, ``step``, ``hvp``,
    ``product``, ``layer``, ``chain``), ``sizes`` are its sizes: the shape of the argument; rows and
    classes; the widths of a network; rows, inner and columns; the number of layers. ``batch``
    counts a network's rows. ``spread`` is the range of the logits. ``tolerance`` bounds
    ``max|got - expected| / max|expected|`` of every result. ``quick`` cases run under ``--quick``;
    ``cached`` ones are built once before, in another process with the same cache on disk.
    """

    name: str
    kind: str
    sizes: tuple[int, ...]
    dtype: str = "float32"
    batch: int = 0
    spread: float = 0.0
    tolerance: float = 1e-4
    quick: bool = True
    cached: bool = False


def _elementwise(kind: str, label: str) -> tuple[Case, ...]:
    return tuple(
        Case(
            f"{label} {short} {n:.0e}".replace("e+0", "e"),
            kind,
            (n,),
            dtype,
            tolerance=tolerance,
            quick=n < 10**6,
        )
        for short, dtype, tolerance in (("f32", "float32", 2e-5), ("f64", "float64", 1e-10))
        for n in (10**3, 10**5, 10**7)
    )


def _products() -> tuple[Case, ...]:
    return tuple(
        Case(
            f"product {short} {n}", "product", (n, n, n), dtype, tolerance=tolerance, quick=n <= 256
        )
        for short, dtype, tolerance in (("f32", "float32", 1e-4), ("f64", "float64", 1e-11))
        for n in (64, 128, 256, 512, 1024, 2048)
    )


CASES: tuple[Case, ...] = (
    Case("2x + 1 of 8 floats", "affine", (8,), tolerance=1e-6),
    Case("2x + 1 of a 0-d value", "affine", (), tolerance=1e-6),
    *_elementwise("map", "map"),
    *_elementwise("sum", "sum"),
    Case("cross-entropy 1024x1000", "cross_entropy", (1024, 1000), spread=10),
    Case("cross-entropy 128x10", "cross_entropy", (128, 10), spread=10),
    Case("cross-entropy 1024x1000 at logits +-1e4", "cross_entropy", (1024, 1000), spread=1e4),
    Case("digits step", "step", DIGITS, batch=32),
    Case("digits HVP", "hvp", DIGITS, batch=32, tolerance=5e-4),
    Case("step 20-64-64-2 batch 16", "step", SMALL, batch=16, quick=False),
    Case("HVP 20-64-64-2 batch 16", "hvp", SMALL, batch=16, tolerance=5e-4, quick=False),
    Case("step 784-512-512-10 batch 32", "step", LARGE, batch=32, quick=False),
    Case("HVP 784-512-512-10 batch 32", "hvp", LARGE, batch=32, tolerance=5e-4, quick=False),
    Case("step 784-512-512-10 batch 256", "step", LARGE, batch=256, quick=False),
    Case("HVP 784-512-512-10 batch 256", "hvp", LARGE, batch=256, tolerance=5e-4, quick=False),
    *_products(),
    Case("product f32 32x784x512", "product", (32, 784, 512)),
    Case("relu(product + bias) f32 32x784x512", "layer", (32, 784, 512)),
    Case("chain of 100 tanh layers", "chain", (100,), tolerance=2e-3),
)

#: Timed once per fresh process, from the first line of the expression to the end of the first call.
COLD: tuple[Case, ...] = (
    Case("compile 2x + 1", "affine", (8,), tolerance=1e-6),
    Case("compile digits step", "step", DIGITS, batch=32),
    Case("compile step 784-512-512-10", "step", LARGE, batch=32, quick=False),
    Case("the same with a disk cache", "step", LARGE, batch=32, quick=False, cached=True),
    Case("compile chain of 10 tanh layers", "chain", (10,), tolerance=2e-3),
    Case("compile chain of 100 tanh layers", "chain", (100,), tolerance=2e-3),
    Case("compile chain of 1000 tanh layers", "chain", (1000,), tolerance=2e-3, quick=False),
    Case("compile chain of 3000 tanh layers", "chain", (3000,), tolerance=2e-3, quick=False),
)


def _tiny(case: Case) -> Case:
    """The same formula at a size that takes no time."""
    limit = {"chain": 3, "step": 7, "hvp": 7}.get(case.kind, 33)
    sizes = tuple(min(n, limit) for n in case.sizes)
    return replace(case, name=f"tiny {case.name}", sizes=sizes, batch=min(case.batch, 5))


TINY: tuple[Case, ...] = tuple(_tiny(c) for c in CASES)
BY_NAME: dict[str, Case] = {c.name: c for c in (*CASES, *COLD, *TINY)}
