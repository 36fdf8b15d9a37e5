# Every target is a line or a script. `make` prints this list.

PYTHON := .venv/bin/python
SLUICE := .build/release/sluice
SEEDS ?= 60
SECONDS_EACH ?= 15
PREFIX ?= $(HOME)/.local

.DEFAULT_GOAL := help
.PHONY: help setup build library models demo demo-ocr test test-modules test-release \
	test-debug e2e readme conformance operators fuzz fuzz-short fuzz-networks test-isa test-avx512 test-asan \
	test-tsan lint stack format \
	bench bench-fusion bench-kernels bench-networks \
	bench-peers bench-threads docs man picture install clean ci

help: ## prints this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## installs what is missing: Debian packages, Python packages in .venv
	@scripts/setup.sh

build: setup ## builds the command line in release mode
	swift build -c release --product sluice

library: setup ## builds libsluice for C, Python and others: out/lib/libsluice.so, out/include/sluice.h
	swift build -c release --product sluice_c
	@mkdir -p out/lib out/include
	cp .build/release/libsluice_c.so out/lib/libsluice.so
	cp CSources/CSluice/include/sluice.h out/include/

models: setup ## makes the networks of demos and tests, and a scanned page, in models/
	@$(PYTHON) tools/make_models.py --tests

demo: build ## finds the digits of a picture inside the smallest device budget; draws out/demo.png
	@mkdir -p out
	$(SLUICE) detect tools/detector/example.png --device-memory minimum -o out/demo.png

demo-ocr: build ## finds the text lines of a scanned page inside a small device budget
	@scripts/demo_ocr.sh

test: test-modules test-release test-debug docs fuzz-short e2e readme ## all tests: modules, Swift in release and debug, end to end

test-modules: ## the direction of dependencies between modules
	@python3 scripts/check_modules.py

test-release: setup ## Swift tests in release mode, kernels included
	swift test -c release --disable-xctest --disable-testable-imports

test-debug: setup ## Swift tests with assertions on; kernels are left to the release build
	swift test --disable-xctest --skip KernelTests -Xcc -O2

readme: build models ## every command of README.md as printed, and its Swift example
	@$(PYTHON) scripts/check_readme.py

e2e: build library models ## the command against onnxruntime: networks, budgets, imports, random models
	$(PYTHON) scripts/e2e.py --seeds $(SEEDS)

conformance: build ## the node tests of ONNX, against the list of what is expected of each
	$(PYTHON) scripts/conformance.py

operators: build ## writes docs/OPERATORS.md: importer, expected node tests, types that plans take
	@$(PYTHON) scripts/operator_types.py
	@python3 scripts/operators.py

fuzz: setup ## libFuzzer on the readers of files and on the planner (SECONDS_EACH=15)
	scripts/fuzz.sh $(SECONDS_EACH)

fuzz-short: setup ## the same for a few seconds, without AddressSanitizer: a part of `make test`
	@scripts/fuzz.sh --short 60

fuzz-networks: build ## random networks until one fails, then its smallest failing part (SEEDS=1000)
	$(PYTHON) scripts/fuzz_models.py --seeds $(SEEDS) --shrink --keep out/fuzz

test-isa: setup ## kernels and engine on each instruction set this CPU has, and on the emulated one
	@scripts/test_isa.sh

test-avx512: setup ## the AVX-512 kernels where only AVX2 is: simulated by SIMDe
	@scripts/setup.sh simde
	swift test -c release --disable-xctest --scratch-path .build-avx512 -Xcc -DSL_SIMULATES_AVX512 \
		-Xcc -mavx2 -Xcc -mfma -Xcc -O1 --filter 'KernelTests|EngineTests'

test-asan: setup ## all Swift tests, kernels included, under AddressSanitizer in release mode
	swift test -c release --disable-xctest --sanitize=address --scratch-path .build-asan -Xcc -O1

test-tsan: setup ## Swift tests under ThreadSanitizer, without the kernels alone
	swift test --disable-xctest --sanitize=thread --scratch-path .build-tsan -Xcc -O1 \
		--skip KernelTests

lint: ## format, warnings of the C code, dependencies between modules
	@scripts/lint.sh

stack: ## the deepest stack of the kernels of each instruction set
	@python3 scripts/check_stack.py

format: ## formats Swift and C in place
	@scripts/lint.sh --fix

bench: build models ## latency and memory of the five networks at four budgets
	$(PYTHON) benchmarks/peers.py --peers none

bench-kernels: setup models ## each layer of three networks by itself: per cent of peak, warm and cold
	swift run -c release KernelBenchmark models/resnet50.onnx models/mobilenet_v2.onnx \
		models/squeezenet.onnx

bench-fusion: build models ## what each fusion is worth in time, traffic and memory
	$(PYTHON) benchmarks/fusion.py

bench-peers: build models ## the same beside onnxruntime; replaces the table in README.md
	$(PYTHON) benchmarks/peers.py --readme README.md

bench-threads: build models ## the five networks with one thread and with two, beside multiply-adds
	$(PYTHON) benchmarks/threads.py

bench-networks: build ## thirteen networks beside onnxruntime and OpenVINO; the second table of README.md
	$(PYTHON) -m pip install --quiet --requirement scripts/requirements-bench.txt
	$(PYTHON) tools/make_models.py --benchmarks
	$(PYTHON) benchmarks/peers.py --models all --batch 1 8 --budgets 100% --rounds 3 \
		--peers onnxruntime openvino --json out/networks.json --readme README.md --marker networks

docs: setup ## the reference of the Swift library, a website, in out/docs
	@scripts/docs.sh

man: build ## the manual page of the command, out/man/sluice.1
	@python3 scripts/manual.py $(SLUICE) out/man/sluice.1

picture: build models ## the picture in README.md, drawn by the tool
	$(SLUICE) plan models/resnet50.onnx --device-memory 10% --threads 1 --chart docs/memory.svg

install: man ## the command, its detector, manual page and completions below PREFIX (~/.local)
	@scripts/install.sh $(SLUICE) $(PREFIX)

clean: ## removes what was built; models and the virtual environment stay
	rm -rf .build .build-asan .build-tsan .build-avx512 .build-fuzz out

ci: ## what the CI runs
	@.ci/run
