"""Many runs: benchmarks, sweeps and ablations."""
