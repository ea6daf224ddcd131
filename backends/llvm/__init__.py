"""Native code through LLVM: partition, loops, emit, load."""
