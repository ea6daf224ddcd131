"""Graph-to-graph passes: differentiation, simplification, stabilisation."""

if not __name__.startswith("symgraph."):
    raise ImportError("this folder is the package symgraph.passes; import it under that name")
