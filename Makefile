# make demo | test | bench | fuzz | build | clean. Each installs the Debian packages that it needs, then does its work.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 20
ROUNDS ?= 3
DEMO_TARGETS := netservd netserv-forwarder netserv-container netserv-launch netserv-compile netserv-fetch netserv-notify gistd nslpd netserv modules

CMAKE := cmake -G Ninja
BUILD_DEMO = cmake --build build/demo -j$(JOBS) --target $(DEMO_TARGETS) | cmake/progress.sh
APT := packaging/apt/install.sh

.PHONY: demo test bench fuzz build clean

build:
	@$(APT) build
	@$(CMAKE) -S . -B build -DNETSERV_TESTS=OFF
	@cmake --build build -j$(JOBS)

# The main job on this machine: a SIP client's keep-alives answered at a router that the publisher's message found on
# the way to it. Needs root (namespaces). Built for a first look: little optimisation, a target's sources as one.
demo:
	@$(APT) build demo
	@$(CMAKE) -S . -B build/demo -DNETSERV_TESTS=OFF -DNETSERV_OPTIMISE="-O1" -DCMAKE_UNITY_BUILD=ON >build-demo.log 2>&1 || { cat build-demo.log; exit 1; }; rm -f build-demo.log
	@$(BUILD_DEMO) || { echo "Some sources can't be compiled as one (above); once more, one by one"; \
	  $(CMAKE) -S . -B build/demo -DCMAKE_UNITY_BUILD=OFF >/dev/null && $(BUILD_DEMO); }
	@lab/netserv-lab --build build/demo run keepalive

# All tests, then their count. Under sanitizers compiling is what takes the time, and optimising most of it; what the demo
# needs is built there too, since a target's sources must compile as one (two files that give one name clash only there).
test:
	@$(APT) build test
	@$(CMAKE) -S . -B build/test
	@cmake --build build/test -j$(JOBS)
	@$(CMAKE) -S . -B build/sanitized -DNETSERV_SANITIZE=address,undefined -DNETSERV_OPTIMISE="-O0 -g1" -DCMAKE_UNITY_BUILD=ON
	@cmake --build build/sanitized -j$(JOBS) --target unit_tests $(DEMO_TARGETS)
	@tests/run.sh build/test build/sanitized

bench:
	@$(APT) build bench
	@$(CMAKE) -S . -B build -DNETSERV_TESTS=OFF -DNETSERV_BENCH=ON
	@cmake --build build -j$(JOBS)
	@bench/run.py build --rounds $(ROUNDS)

fuzz:
	@$(APT) build fuzz
	@CC=clang CXX=clang++ $(CMAKE) -S . -B build/fuzz -DNETSERV_FUZZ=ON -DNETSERV_TESTS=OFF \
	  -DNETSERV_SANITIZE=fuzzer-no-link,address,undefined -DNETSERV_COVERAGE=ON
	@cmake --build build/fuzz -j$(JOBS) --target fuzzers
	@fuzz/run.py build/fuzz $(FUZZ_SECONDS)

clean:
	rm -rf build
