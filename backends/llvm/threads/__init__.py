"""Worker threads: one pool per process, which calls of any function share out their units to."""
