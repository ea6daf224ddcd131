"""Backends: from a finished graph to a program (``reference`` and ``llvm``)."""

if not __name__.startswith("symgraph."):
    raise ImportError("this folder is the package symgraph.backends; import it under that name")
