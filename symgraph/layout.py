"""A layered drawing of a directed acyclic graph: layers by longest path, order by barycentres.

After Sugiyama, Tagawa and Toda (1981): nodes go to layers so that edges point down, long edges get
points in the layers they cross, layers are reordered by the mean position of neighbours, and
positions are the least-squares ones that keep the order and the distances.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Layout", "layered"]

#: An edge over more layers than this is drawn straight, without points on the way.
LONGEST = 12
SWEEPS = 6
POINT_WIDTH = 14.0


@dataclass(frozen=True, slots=True)
class Layout:
    """The centre and layer of each node, and the points that each edge runs through."""

    x: list[float]
    layer: list[int]
    routes: list[list[tuple[float, int]]]


def layered(widths: Sequence[float], edges: Sequence[tuple[int, int]]) -> Layout:
    """Lay out nodes of the given widths; ``edges`` point from a lower to a higher number."""
    layer = _layers(len(widths), edges)
    size = list(widths)
    links: list[tuple[int, int]] = []
    chains: list[list[int]] = []
    for a, b in edges:
        steps = range(layer[a] + 1, layer[b]) if layer[b] - layer[a] <= LONGEST else ()
        points = list(range(len(size), len(size) + len(steps)))
        layer.extend(steps)
        size.extend([POINT_WIDTH] * len(points))
        chain = [a, *points, b]
        chains.append(chain)
        links.extend((i, j) for i, j in itertools.pairwise(chain) if layer[j] - layer[i] == 1)
    x = _place(layer, size, links)
    routes = [[(x[k], layer[k]) for k in chain] for chain in chains]
    return Layout(x[: len(widths)], layer[: len(widths)], routes)


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest path from a source; sources move down to just above their first user."""
    layer = [0] * count
    sources = set(range(count))
    first_user: dict[int, int] = {}
    for a, b in sorted(edges, key=lambda e: e[1]):
        layer[b] = max(layer[b], layer[a] + 1)
        sources.discard(b)
    for a, b in edges:
        first_user[a] = min(first_user.get(a, layer[b]), layer[b])
    for s in sources & first_user.keys():
        layer[s] = first_user[s] - 1
    return layer


def _place(layer: list[int], size: list[float], links: Sequence[tuple[int, int]]) -> list[float]:
    above: list[list[int]] = [[] for _ in size]
    below: list[list[int]] = [[] for _ in size]
    for a, b in links:
        above[b].append(a)
        below[a].append(b)
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for k, at in enumerate(layer):
        rows[at].append(k)
    x = [0.0] * len(size)
    for row in rows:
        _settle(row, [0.0] * len(row), size, x)
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for row in rows if down else rows[::-1]:
            wanted = {k: _mean([x[n] for n in near[k]], x[k]) for k in row}
            if sweep < SWEEPS:
                row.sort(key=wanted.__getitem__)
            _settle(row, [wanted[k] for k in row], size, x)
    left = min((x[k] - size[k] / 2 for k in range(len(size))), default=0.0)
    return [v - left for v in x]


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _settle(row: list[int], wanted: list[float], size: list[float], x: list[float]) -> None:
    """The positions nearest to ``wanted`` (least squares) that keep order and distances.

    Less the distances this is isotonic regression, done by pooling adjacent violators.
    """
    offset, offsets = 0.0, []
    for before, k in zip([None, *row], row, strict=False):
        offset += 0.0 if before is None else (size[before] + size[k]) / 2
        offsets.append(offset)
    pools: list[tuple[float, int]] = []
    for goal, at in zip(wanted, offsets, strict=True):
        total, count = goal - at, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            total, count = total + pools[-1][0], count + pools[-1][1]
            pools.pop()
        pools.append((total, count))
    settled = [total / count for total, count in pools for _ in range(count)]
    for k, at, base in zip(row, offsets, settled, strict=True):
        x[k] = base + at
