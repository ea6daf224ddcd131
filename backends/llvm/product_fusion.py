"""Which element-wise neighbour a matrix product takes along as its epilogue.

A cluster becomes the epilogue of a product where it is the first step that reads the product, runs
over the product's own elements in its own order, and reduces and gathers nothing. It then runs tile
by tile, while the tile is in the cache, and a product that nobody else reads is never stored.

When it pays (see docs/products.md for the measurements): a pass over C less always does, but for

- a product of one column, whose rows would fill one lane each;
- a C of few elements, where calling back costs more than a step;
- operands that all lie as C does, in rows that fill their last vector badly: a pass of its own runs
  over the whole block of memory as one row;
- another matrix read beside a C that stays in the caches: blocks of it come in bits and late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from symgraph.backends.llvm.clusters import Cluster, Partition
from symgraph.backends.llvm.copies import Views
from symgraph.backends.llvm.epilogue import KINDS, PRODUCT
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.join_axes import join_axes
from symgraph.backends.llvm.loops import Access, Nest, PointerParam, SizeParam, build_nest
from symgraph.backends.llvm.matmul.blocking import blocking
from symgraph.backends.llvm.scalars import register_type
from symgraph.backends.llvm.views import contiguous_strides, source_of
from symgraph.ops import product
from symgraph.sizes import Dim, is_one
from symgraph.sizes import product as total
from symgraph.tensor import Tensor

__all__ = ["FusedProduct", "Step", "fuse_products", "members"]

#: Rows that leave a larger share of lanes idle than this are joined into one, if they can be.
IDLE = 0.35

#: A C of at most so many elements is done before calling back has paid.
TINY = 64
#: Of how many products of one sum it is tried to make the sum an epilogue.
TRIES = 4

#: A C of so many bytes stays where a second pass, which the prefetchers follow, finds it at once.
NEAR = 1 << 21


@dataclass(frozen=True, eq=False, slots=True)
class FusedProduct:
    """A product and what follows it element by element; ``stored``: others read it as well."""

    product: Tensor
    cluster: Cluster
    nest: Nest
    stored: bool


Step = Cluster | FusedProduct | Tensor


def members(step: Step) -> tuple[Tensor, ...]:
    """The variables a step computes."""
    if isinstance(step, Cluster):
        return tuple(step.maps)
    if isinstance(step, FusedProduct):
        return (step.product, *step.cluster.maps)
    return (step,)


def fuse_products(
    parts: Partition,
    outputs: Sequence[Tensor],
    views: Views,
    target: Target,
) -> list[Step]:
    """The steps of a partition, products with their epilogues where that pays."""
    steps: list[Step | None] = [*parts.steps]
    products = [s for s in parts.steps if isinstance(s, Tensor) and s.op is product.matmul]
    at = {s: k for k, s in enumerate(parts.steps)}
    readers = _readers(parts.steps, set(products))
    wanted = set(outputs)
    tries: dict[Cluster, int] = {}
    for node in reversed(products):  # of several products that a cluster adds up, the last
        first, *others = readers[node] or [-1]
        cluster = steps[first] if first >= 0 else None
        if not isinstance(cluster, Cluster) or _is_tiny(node):
            continue
        tries[cluster] = tries.get(cluster, 0) + 1
        if tries[cluster] > TRIES:
            continue  # a long sum of products: what kept the last of them out keeps them all out
        nest = _epilogue(node, cluster, parts, views)
        if nest is not None and _pays(node, nest, target):
            fused = FusedProduct(node, cluster, nest, bool(others) or node in wanted)
            steps[first], steps[at[node]] = fused, None
    return [s for s in steps if s is not None]


def _readers(steps: Sequence[Cluster | Tensor], of: set[Tensor]) -> dict[Tensor, list[int]]:
    """The steps that read each of some variables, in order."""
    found: dict[Tensor, list[int]] = {n: [] for n in of}
    for k, step in enumerate(steps):
        for source in dict.fromkeys(_sources(members(step))):
            if source in of:
                found[source].append(k)
    return found


def _sources(nodes: Iterable[Tensor]) -> Iterable[Tensor]:
    """The variables whose memory the operands of ``nodes`` are read from."""
    for node in nodes:
        yield from map(source_of, (*node.inputs, *node.after))


def _epilogue(node: Tensor, cluster: Cluster, parts: Partition, views: Views) -> Nest | None:
    """The cluster's nest with the product as a value, or None where it is no epilogue."""
    space = tuple(d for d in node.shape if not is_one(d))
    if cluster.inner or cluster.space != space:
        return None
    nest = build_nest(cluster, parts.stored, views)
    reads = {
        k
        for k, p in enumerate(nest.params)
        if isinstance(p, PointerParam) and p.node is node and p.role == "read"
    }
    order = contiguous_strides(space)
    own = [i.access for i in nest.items if i.access is not None and i.access.pointer in reads]
    if not own or any(_start(nest, a) != 0 or _strides(nest, a) != order for a in own):
        return None
    if any(_strides(nest, a) != order for _, a in nest.stores):
        return None
    for k, item in enumerate(nest.items):
        if item.access is not None and item.access.pointer in reads:
            nest.items[k] = replace(item, kind=PRODUCT, access=None)
    if any(i.kind not in KINDS for i in nest.items):
        return None
    for k in reads:
        nest.params[k] = SizeParam(0)
    return nest


def _start(nest: Nest, access: Access) -> Dim:
    p = nest.params[access.pointer]
    return p.offset if isinstance(p, PointerParam) else 0


def _strides(nest: Nest, access: Access) -> tuple[Dim, ...]:
    """The strides as sizes."""
    return tuple(s if isinstance(s, int) else _size(nest, s) for s in access.strides)


def _size(nest: Nest, name: str) -> Dim:
    p = nest.params[int(name[1:])]
    assert isinstance(p, SizeParam), name
    return p.dim


def _is_tiny(node: Tensor) -> bool:
    """Whether a product has so few elements that a kernel of their own is as fast."""
    elements = total(node.shape)
    return is_one(node.shape[-1]) or (isinstance(elements, int) and 0 < elements <= TINY)


def _pays(node: Tensor, nest: Nest, target: Target) -> bool:
    """Whether the epilogue is worth it."""
    n, elements = node.shape[-1], total(node.shape)
    blk = blocking(register_type(node.dtype), target)
    if len(join_axes(nest).extents) > 1:
        return True
    ragged = isinstance(n, int) and -n % (2 * blk.lanes) > IDLE * n
    near = isinstance(elements, int) and elements * blk.size <= NEAR
    others = any(i.access is not None and any(i.access.strides) for i in nest.items)
    return not (ragged or (near and others))
