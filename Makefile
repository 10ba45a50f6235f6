# cordon: what a newcomer needs is `make demo` and `make test`.
CARGO ?= cargo

.PHONY: demo test bench fuzz check fmt

demo: ## play the quarantine story from a capture that the project builds itself
	$(CARGO) build --release --quiet -p cordon --bins --examples
	$(CARGO) run --release --quiet -p cordon --example quarantine

test: ## every test; the corpus too where CORDON_SHARED names the folder that holds pcaps/
	$(CARGO) test --workspace
	RUSTFLAGS="--cfg loom" $(CARGO) test --quiet --release --target-dir target/loom -p cordon-tags --test loom

bench: ## figures of this machine, side by side
	$(CARGO) build --release --quiet -p cordon-benches
	for bench in journey rules domains tags; do $(CARGO) run --release --quiet -p cordon-benches --bin $$bench || exit 1; done

fuzz: ## arbitrary and mutated frames, messages and files, a hundred times as many as in `make test`
	PROPTEST_CASES=25600 $(CARGO) test --release --workspace -- arbitrary mutated never_panic

check: ## formatting, lints, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

fmt:
	$(CARGO) fmt
