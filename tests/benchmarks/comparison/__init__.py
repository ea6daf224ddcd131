"""symgraph beside its peers: the cases, how each library writes them, how they are timed."""
