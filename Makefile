# cordon: what a newcomer needs is `make demo` and `make test`.
CARGO ?= cargo

# For each target of `make fuzz`.
FUZZ_SECONDS ?= 20
FUZZ_TARGETS = $(basename $(notdir $(wildcard fuzz/targets/*.rs)))
# What `cargo fuzz` asks LLVM for, less the sanitizers, which only nightly has.
COVERAGE = -Cpasses=sancov-module -Ccodegen-units=1 \
	$(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares)

# Of `make soak`.
SECONDS ?= 600

.PHONY: demo test bench figures soak fuzz check fmt

demo: ## play both stories: as root live, in network namespaces made for them; else the quarantine from a capture built for it
	$(CARGO) build --release --quiet -p cordon --bins --examples
	@if [ "$$(id -u)" = 0 ]; then sh .ci/packages && $(CARGO) run --release --quiet -p cordon --example live_quarantine && \
	$(CARGO) run --release --quiet -p cordon --example live_decryption; \
	else echo "Not root: the story is replayed from a capture. As root it is played live."; \
	$(CARGO) run --release --quiet -p cordon --example quarantine; fi

test: ## every test; live ones as root; the corpus where CORDON_SHARED names the folder that holds pcaps/
	@if [ "$$(id -u)" = 0 ]; then sh .ci/packages; fi
	$(CARGO) test --workspace
	RUSTFLAGS="--cfg loom" $(CARGO) test --quiet --release --target-dir target/loom -p cordon-tags --test loom

bench: ## figures of this machine, side by side; those of the live firewall only as root
	@if [ "$$(id -u)" = 0 ]; then sh .ci/packages peers; fi
	$(CARGO) build --release --quiet -p cordon -p cordon-benches
	for bench in journey rules domains tags records replay interception wire live decryption; do $(CARGO) run --release --quiet -p cordon-benches --bin $$bench || exit 1; done
	@echo 'make figures draws them'

figures: ## a page and plots of what make bench measured, into docs/figures
	$(CARGO) run --release --quiet -p cordon-benches --bin figures -- docs/figures

soak: ## ten minutes (SECONDS) of real clients through the live firewall, as root: memory flat, every frame accounted for
	sh .ci/packages soak
	$(CARGO) build --release --quiet -p cordon --bins
	SECONDS_TO_RUN=$(SECONDS) CORDON="$${CARGO_TARGET_DIR:-target}/release/cordon" sh crates/cordon/tests/soak.sh

fuzz: ## every parser and the whole engine under libFuzzer (a C++ compiler builds it); stops at the first crash
	mkdir -p fuzz/artifacts
	cd fuzz && $(CARGO) run --quiet --example seeds -- corpus
	cd fuzz && for target in $(FUZZ_TARGETS); do \
		RUSTFLAGS="$(COVERAGE)" $(CARGO) run --quiet --release --target host-tuple --bin $$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -verbosity=0 -print_final_stats=1 \
			-artifact_prefix=artifacts/$$target- corpus/$$target || exit 1; done

check: ## formatting, lints, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	cd fuzz && $(CARGO) fmt --check && $(CARGO) clippy --no-default-features --all-targets -- -D warnings

fmt:
	$(CARGO) fmt
