"""Who uses a node of the graph as it stands in the middle of a run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symgraph.tensor import Tensor

__all__ = ["Users"]

#: how many nodes of a match are looked at to find out whether it holds all users of a node
WIDTH = 64


class Users:
    """Counts of the nodes that use a node; being an output is a use.

    Nothing is counted before the first question. Replacements are remembered and accounted for at
    the next one: what replaces a node inherits its users, and what only the replaced node used is
    gone. A node dies at most once for each time it was made, so the cost is linear.
    """

    __slots__ = ("_count", "_done", "_last", "_moves", "_nodes", "_outputs", "refused")

    def __init__(
        self, outputs: Sequence[Tensor], nodes: Sequence[Tensor], done: Mapping[Tensor, Tensor]
    ) -> None:
        self._outputs, self._nodes, self._done = outputs, nodes, done
        self._count: dict[Tensor, int] = {}
        self._moves: list[tuple[Tensor, Tensor, bool]] = []
        self._last: tuple[Any, Any] = (None, None)
        #: nodes with several users that a rule would have liked to have one
        self.refused: set[Tensor] = set()

    def moved(self, before: Tensor, after: Tensor, rebuilt: bool = False) -> None:
        """``after`` replaces ``before``; ``rebuilt``: on what replaces its inputs."""
        self._moves.append((before, after, rebuilt))
        self._last = (None, None)

    def count(self, x: Tensor) -> int:
        """How many nodes use x, outputs of the graph included."""
        if self._moves or not self._count:
            self._settle()
        return self._count.get(x, 0)

    def alone(self, x: Tensor, root: Tensor) -> bool:
        """Whether all that use x is ``root``, or is used by ``root`` alone in turn."""
        found = self._inside(x, root)
        if not found:
            self.refused.add(x)
        return found

    def once(self, key: Any, find: Callable[[], Any]) -> Any:
        """What ``find`` finds, remembered until another key is asked for or the graph changes."""
        if self._last[0] != key:
            self._last = key, find()
        return self._last[1]

    def _now(self, x: Tensor) -> Tensor:
        """What stands for x now."""
        done = self._done
        while (now := done.get(x, x)) is not x:
            x = now
        return x

    def freed(self, nodes: Sequence[Tensor]) -> bool:
        """Whether, in the graph of these nodes, one that was refused has a single user.

        Counted anew: what dies in the middle of a run may have been counted as a user until then.
        """
        waiting = {self._now(x): 0 for x in self.refused}
        for node in nodes if waiting else ():
            inputs = node.inputs
            for i in {*inputs} if len(inputs) > 1 else inputs:
                if i in waiting:
                    waiting[i] += 1
        return 1 in waiting.values()

    def _inside(self, x: Tensor, root: Tensor) -> bool:
        if self.count(x) <= 1 and any(i is x for i in root.inputs):
            return True
        count = self._count
        met: dict[Tensor, int] = {}
        front = deque([root])
        for _ in range(WIDTH):
            if not front:
                return False
            for i in dict.fromkeys(front.popleft().inputs):
                met[i] = met.get(i, 0) + 1
                if met[i] >= count.get(i, 0):
                    if i is x:
                        return True
                    front.append(i)
        return False

    def _settle(self) -> None:
        if not self._count:
            self._count = count = dict.fromkeys(self._nodes, 0)
            for node in self._nodes:
                inputs = node.inputs
                for i in {*inputs} if len(inputs) > 1 else inputs:
                    count[i] += 1
            for o in self._outputs:
                count[o] += 1
        count = self._count
        for before, after, rebuilt in self._moves:
            if rebuilt and after not in count and _as_many(before, after):
                if before in count:  # what stands for its inputs has this user already
                    count[after] = count.pop(before)
            else:
                self._replace(before, after)
        self._moves.clear()

    def _replace(self, before: Tensor, after: Tensor) -> None:
        inherited = self._count.pop(before, None)
        if inherited is None:
            return
        self._enter(after)
        self._count[after] += inherited
        self._leave(before)

    def _enter(self, root: Tensor) -> None:
        """Count what a new node uses, and new nodes below it."""
        count, stack = self._count, [root] if root not in self._count else []
        for node in stack:
            count[node] = 0
        while stack:
            for i in dict.fromkeys(stack.pop().inputs):
                now = self._now(i)
                if now not in count:
                    count[now] = 0
                    stack.append(now)
                count[now] += 1

    def _leave(self, root: Tensor) -> None:
        """Forget the uses of a node that is gone, and what nobody uses any more."""
        stack = [root]
        while stack:
            for i in dict.fromkeys(stack.pop().inputs):
                now = self._now(i)
                left = self._count.get(now, 0) - 1
                if left > 0:
                    self._count[now] = left
                elif self._count.pop(now, None) is not None:
                    stack.append(now)


def _as_many(x: Tensor, y: Tensor) -> bool:
    """Whether both have as many different inputs."""
    return len(x.inputs) == 1 or len({*x.inputs}) == len({*y.inputs})
