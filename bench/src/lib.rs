//! Benchmarks with a peer beside ours in the same run.
