# Espalier's commands; `make` alone lists them. CMake and Ninja do the work, in build/.

BUILD ?= build
JOBS ?= $(shell nproc)
CMAKE_FLAGS ?=
WAVES := $(BUILD)/waves
DEMO := $(BUILD)/demo
MODEL := examples/shapes/shapes.onnx
PIXELS := --mean 0.5,0.5,0.5 --std 0.25,0.25,0.25

CONFIGURE = cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS)
# A build that exists keeps its options; a new one leaves out the tests, their packages, and all
# machines but the default one.
CONFIGURE_DEMO = test -f $(BUILD)/build.ninja || $(CONFIGURE) -DBUILD_TESTING=OFF -DESPALIER_MODELS=edge
FORMATTED = git ls-files '*.cpp' '*.hpp' | grep -v /generated/

.DEFAULT_GOAL := help
.PHONY: help deps deps-build deps-train automask deps-synth deps-lint deps-networks network-tools peers-tools bitstream engines resnet50 inception masks backward personal bench-cpu bench-sim users verilate test test-long peers mutants proofs demo demo-tools install waves ecp5 lint synth netlists format clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

deps: ## install what is missing of the Debian packages that building and testing need
	@cmake/install-packages.sh build test

deps-build:
	@cmake/install-packages.sh build

deps-networks:
	@cmake/install-packages.sh build networks

deps-train:
	@cmake/install-packages.sh build train

deps-synth:
	@cmake/install-packages.sh synth

deps-lint:
	@cmake/install-packages.sh build lint

verilate: deps ## build everything: the verilated machines, the tools, the tests
	$(CONFIGURE) -DBUILD_TESTING=ON '-DESPALIER_MODELS=pico;nano;tiny;edge;zynq;wide'
	cmake --build $(BUILD) -j$(JOBS)
	@echo 'subdirs($(BUILD))' > CTestTestfile.cmake

test: verilate ## build everything and run the tests
	ctest --test-dir $(BUILD) --output-on-failure -j$(JOBS)

test-long: verilate deps-networks ## the tests again, with many more random cases and whole ImageNet networks
	ESPALIER_LONG=1 ctest --test-dir $(BUILD) -C long --output-on-failure -j$(JOBS) --timeout 7200

mutants: deps ## seed bugs into a copy of the tree, and see that each is caught by its test
	tests/mutants/run --work $(BUILD)/mutants -j$(JOBS)

proofs: deps deps-lint ## prove modules equal to their plain forms, and see that each proof fails on seeded bugs
	@test -f $(BUILD)/build.ninja && grep -q packed_products_test $(BUILD)/build.ninja || \
	  $(CONFIGURE) -DBUILD_TESTING=ON
	cmake --build $(BUILD) -j$(JOBS) --target requant_vectors packed_products_test
	tests/formal/run --work $(BUILD)/proofs -j$(JOBS)
	$(BUILD)/tests/packed_products_test
	$(BUILD)/tests/requant_vectors 100000000

# Where they can't be had, the run says what it skips.
peers-tools:
	-@cmake/install-packages.sh networks peers

peers: deps peers-tools ## compare the golden model with ONNX Runtime, which npm installs
	@test -f $(BUILD)/build.ninja && grep -q peers_check $(BUILD)/build.ninja || \
	  $(CONFIGURE) -DBUILD_TESTING=ON
	cmake --build $(BUILD) -j$(JOBS) --target espalier peers_check
	tests/peers/run.sh $(BUILD)

bitstream: ## the `pico` machine for an iCE40 HX8K: cells, clock, bitstream in build/ice40
	@cmake/install-packages.sh bitstream
	synth/ice40/bitstream $(BUILD)/ice40

engines: deps-synth ## place and route each engine of `nano` alone on an iCE40 HX8K: cells, clock; bar
	@cmake/install-packages.sh bitstream
	synth/ice40/engines --work $(BUILD)/engines -j$(JOBS)

# One image of a whole network through the verilated machine, every tensor checked.
NETWORK = tests/system/network.py --espalier $(BUILD)/bin/espalier --work $(BUILD)/networks

network-tools: deps-networks
	@$(CONFIGURE_DEMO)
	cmake --build $(BUILD) -j$(JOBS) --target espalier

resnet50: network-tools ## torchvision's ResNet-50 on the verilated machine, checked: cycles, bound, ratio
	$(NETWORK) resnet50 --most 1.05

inception: network-tools ## the same with Inception-V3
	$(NETWORK) inception_v3 --most 1.04

masks: network-tools ## what masks are worth on ResNet-50 and Inception-V3, by the timing model; bars
	tests/system/masks.py --espalier $(BUILD)/bin/espalier --work $(BUILD)/networks

backward: demo-tools network-tools ## backward passes of whole networks on simulator and verilated machine, every value checked; bars
	tests/system/backward.py --espalier $(BUILD)/bin/espalier --work $(BUILD)/networks \
	  --shared $(SHARED)

PERSONAL = tests/system/personal.py --espalier $(BUILD)/bin/espalier --work $(BUILD)/networks

personal: network-tools ## masks of `personalise` at budgets of MACs, on the verilated machine, checked; bars
	$(PERSONAL) --rtl

bench-cpu: network-tools peers-tools ## the same networks dense and pruned in ONNX Runtime on one thread, beside the machine's cycles
	tests/peers/install.sh $(BUILD)/peers
	$(PERSONAL) --cpu $(BUILD)/peers

bench-sim: deps ## how fast the verilated machine runs, beside a fixed piece of work; fails where it has become slower
	@test -f $(BUILD)/build.ninja && grep -q sim_bench $(BUILD)/build.ninja || \
	  $(CONFIGURE) -DBUILD_TESTING=ON '-DESPALIER_MODELS=edge'
	cmake --build $(BUILD) -j$(JOBS) --target sim_bench
	$(BUILD)/bin/sim_bench

SHARED ?= ../shared
CIFAR = $(SHARED)/data/cifar10
USERS = $(BUILD)/users
USERS_FLAGS ?=

users: deps ## what personal models are worth to random users of ResNet-56: MAC cuts against accuracy; goes on where it stopped
	@test -d $(CIFAR) || { echo "skipped: there is no $(CIFAR); SHARED names the folder of data sets"; exit 1; }
	@test -f $(BUILD)/build.ninja && grep -q users_check $(BUILD)/build.ninja || \
	  $(CONFIGURE) -DBUILD_TESTING=ON
	cmake --build $(BUILD) -j$(JOBS) --target espalier users_check
	@mkdir -p $(USERS)
	$(BUILD)/bin/espalier compile $(SHARED)/data/models/resnet56_cifar10_float.onnx \
	  -o $(USERS)/resnet56.espl --config edge --calibrate $(CIFAR)/data_batch_2.bin --count 300 \
	  --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
	$(BUILD)/bin/users_check $(USERS)/resnet56.espl --learn $(CIFAR)/data_batch_1.bin \
	  --test $(CIFAR)/test_batch.bin --state $(USERS)/measured.csv --from tests/users/results.csv -j $(JOBS) $(USERS_FLAGS) \
	  -o $(if $(USERS_FLAGS),$(USERS),tests/users)/results.csv
	tests/users/table.py $(if $(USERS_FLAGS),--print --results $(USERS)/results.csv)

automask: deps-train ## build espalier-automask, which trains masks for degraded pictures with LibTorch (automask.md)
	@$(CONFIGURE_DEMO)
	@grep -q espalier-automask $(BUILD)/build.ninja || $(CONFIGURE)
	cmake --build $(BUILD) -j$(JOBS) --target espalier espalier-automask

demo-tools: deps-build
	@$(CONFIGURE_DEMO)
	cmake --build $(BUILD) -j$(JOBS) --target espalier shapes_draw

demo: demo-tools ## compile a small network and run it on the verilated machine, checked bit for bit
	@mkdir -p $(DEMO)
	$(BUILD)/bin/shapes_draw --seed 2 --count 64 -o $(DEMO)/calibration.bin
	$(BUILD)/bin/shapes_draw --seed 3 --count 20 -o $(DEMO)/test.bin \
	  --classes $(DEMO)/classes.txt --sheet $(DEMO)/test.png
	$(BUILD)/bin/espalier compile $(MODEL) -o $(DEMO)/shapes.espl \
	  --calibrate $(DEMO)/calibration.bin --count 64 $(PIXELS)
	$(BUILD)/bin/espalier run $(DEMO)/shapes.espl --device rtl --images $(DEMO)/test.bin \
	  --count 20 --check --layers --wave $(DEMO)/shapes.fst --wave-cycles 50000
	@echo
	@echo 'The images:       $(DEMO)/test.png'
	@echo 'The waveform:     $(DEMO)/shapes.fst'
	@echo 'To look at it:    make waves, then gtkwave $(WAVES)/demo.gtkw'

PREFIX ?= /usr/local

install: deps-build ## put command, library and headers into PREFIX (/usr/local; DESTDIR stands before it)
	@$(CONFIGURE_DEMO)
	cmake --build $(BUILD) -j$(JOBS)
	cmake --install $(BUILD) --prefix $(PREFIX)

waves: demo-tools ## leave a waveform of the demo and its GTKWave view in build/waves
	@mkdir -p $(WAVES)
	$(BUILD)/bin/shapes_draw --seed 2 --count 64 -o $(WAVES)/calibration.bin
	$(BUILD)/bin/shapes_draw --seed 3 --count 1 -o $(WAVES)/test.bin
	$(BUILD)/bin/espalier compile $(MODEL) -o $(WAVES)/demo.espl \
	  --calibrate $(WAVES)/calibration.bin --count 64 $(PIXELS)
	$(BUILD)/bin/espalier run $(WAVES)/demo.espl --device rtl --images $(WAVES)/test.bin \
	  --count 1 --check --wave $(WAVES)/demo.fst
	cp tb/gtkwave/* $(WAVES)/
	@echo
	@echo 'The waveform and its view: gtkwave $(WAVES)/demo.gtkw'
	@command -v gtkwave >/dev/null || echo 'GTKWave is the Debian package gtkwave.'

ecp5: deps-lint ## the tiny configuration for Lattice ECP5; needs nextpnr-ecp5, which Debian 12 lacks
	synth/ecp5/build $(BUILD)/ecp5

lint: deps-build deps-lint ## check the RTL with Verilator, the generated files, rooms and pages, the C++ with clang-tidy
	python3 spec/generate.py --check
	lint/run
	$(FORMATTED) | xargs clang-format --dry-run --Werror
	@test -f $(BUILD)/build.ninja || $(CONFIGURE) -DBUILD_TESTING=OFF -DESPALIER_MODELS=edge
	cmake --build $(BUILD) -j$(JOBS) --target espalier_import
	lint/tidy --build $(BUILD) -j$(JOBS)

synth: deps-synth ## synthesise with Yosys for three devices: area by module, longest paths
	synth/run --work $(BUILD)/synth -j$(JOBS)

netlists: deps-build deps-synth ## simulate the netlists that `make synth` leaves, against golden, and with bugs seeded
	synth/simulate --work $(BUILD)/synth -j$(JOBS)

format: deps-lint ## format the C++
	$(FORMATTED) | xargs clang-format -i

clean: ## remove what was built
	rm -rf $(BUILD) CTestTestfile.cmake Testing
