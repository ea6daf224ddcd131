"""The call entry: from a Python call to kernels and back, in code emitted once per process."""
