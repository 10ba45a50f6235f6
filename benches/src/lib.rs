//! Benchmarks of cordon; see `docs/PERFORMANCE.md`.
