"""symgraph beside its peers: the cases, each library's way to write them, and how they are timed."""
