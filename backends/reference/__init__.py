"""Plain NumPy evaluation, node by node: the oracle of the tests, and a way to step through a
graph."""

from symgraph.backends.reference.evaluate import bind_sizes, evaluate_graph, resolve

__all__ = ["bind_sizes", "evaluate_graph", "resolve"]
