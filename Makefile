# The commands of daily life. BUILD is the folder of the release build, JOBS how many
# compilers run at a time: make test BUILD=/some/dir JOBS=2

BUILD ?= build/release
JOBS ?= $(shell nproc)

.PHONY: help demo test check build format docs bench dependencies configure

help:
	@echo "make demo    build, then show the main job on the modules in examples/data"
	@echo "make test    build, then run every test"
	@echo "make check   what takes longer: Clang, sanitizers, fuzzing, lint (tools/check)"
	@echo "make build   the release build, programs in $(BUILD)/bin"
	@echo "make bench   run the benchmarks"
	@echo "make docs    write docs/ops.md from the op tables"
	@echo "make format  format the sources with clang-format 14"

dependencies:
	@tools/install_dependencies

configure: dependencies
	cmake --preset release -B $(BUILD)

build: configure
	cmake --build $(BUILD) -j $(JOBS)

demo: build
	@tools/demo $(BUILD)

test: build
	cd $(BUILD) && ctest --output-on-failure -j $(JOBS)

check:
	tools/check

docs: configure
	cmake --build $(BUILD) -j $(JOBS) --target tf1hub-opsdoc
	$(BUILD)/bin/tf1hub-opsdoc tests/data docs/ops.md

bench: build
	@for program in $(BUILD)/benchmarks/*_bench; do if [ -x "$$program" ]; then "$$program" || exit 1; fi; done

format:
	@tools/check --fix-format
