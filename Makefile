# Each target sets up what it needs (scripts/setup.sh) and says what it does.
.PHONY: serve build dev test fmt test-native test-slow e2e bench lint size bytes clean

serve: build ## build and serve the lab at http://127.0.0.1:8080
	node scripts/serve.mjs

build: ## dist/: the lab as static files
	scripts/setup.sh wasm npm
	node scripts/build.mjs

dev: ## dist/ from the same compiled code without wasm-opt: larger and a little slower, built in half the time
	scripts/setup.sh wasm npm
	node scripts/build.mjs --fast

test: fmt test-native e2e size ## everything that must hold, in minutes

fmt:
	scripts/setup.sh rust
	cargo fmt --all --check
	rustfmt --check --edition 2024 engine/studies/src/s[0-9]*.rs

test-native:
	scripts/setup.sh rust browser
	cargo test -p engine -p code -p studies -p minibatch -p logs --no-fail-fast
	cargo test -p app --no-fail-fast

e2e: build ## browser tests on the built page
	scripts/setup.sh npm browser browsers
	node --test --test-concurrency=1 --test-reporter=spec e2e/

size: build ## compressed size of the WASM files against their budgets
	node scripts/size.mjs

bytes: build ## which crate, and which study, the bytes of the workers' code come from
	node scripts/bytes.mjs

test-slow: ## long runs: convergence, memory, parity over many steps
	scripts/setup.sh rust browser
	cargo test -p engine -p studies --no-fail-fast -- --ignored

bench: ## a JSON line a workload and executor, the eager baseline included; the tests' profile spares a second build of burn
	scripts/setup.sh rust browser
	cargo bench --profile dev -p engine --bench workloads

lint: fmt ## the form of the code, and what clippy finds in it
	cargo clippy -p engine -p code -p studies -p minibatch -p logs --all-targets -- -D warnings
	cargo clippy -p app --all-targets -- -D warnings

clean:
	rm -rf dist test-results
	cargo clean
