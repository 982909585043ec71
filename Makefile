# All targets work from a fresh clone, as root, on Linux, and install their dependencies.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

RID := linux-$(subst aarch64,arm64,$(subst x86_64,x64,$(shell uname -m)))
# Front end of the native linker: clang if installed, else gcc.
CC := $(shell command -v clang >/dev/null 2>&1 && echo clang || echo gcc)
PUBLISH := dotnet publish -c Release --nologo -v quiet
# Source files of a list of folders.
sources = $(shell find $(1) -name bin -prune -o -name obj -prune \
	-o \( -name '*.cs' -o -name '*.csproj' -o -name '*.proto' -o -name '*.xml' -o -name '*.gz' -o -name '*.txt' \) -print) \
	global.json Directory.Build.props Directory.Build.targets Directory.Packages.props
DAEMON := protos datapath netlink logging missed-dels system-calls ipamd

.PHONY: help tools build demo test format sim bench clean

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

tools: ## installs the dependencies of build, demo and tests
	@scripts/install-tools

build: tools out/.node out/.operator out/.lab ## out/ipamd, out/vpc-cni and out/kubectl-vpccni as native code, and out/vpc-lab

# The programs of a node, which the image contains.
out/.node: $(call sources,$(DAEMON) cni-shim)
	@mkdir -p out
	$(PUBLISH) ipamd -r $(RID) -p:CppCompilerAndLinker=$(CC) -o out/native/ipamd
	$(PUBLISH) cni-shim -r $(RID) -p:CppCompilerAndLinker=$(CC) -o out/native/vpc-cni
	@ln -sfn native/ipamd/ipamd out/ipamd
	@ln -sfn native/vpc-cni/vpc-cni out/vpc-cni
	@touch $@

out/.operator: $(call sources,$(DAEMON) lab/VpcModel simulation kubectl-plugin)
	@mkdir -p out
	$(PUBLISH) kubectl-plugin -r $(RID) -p:CppCompilerAndLinker=$(CC) -o out/native/kubectl-plugin
	@ln -sfn native/kubectl-plugin/kubectl-vpccni out/kubectl-vpccni
	@touch $@

out/.lab: $(call sources,datapath netlink system-calls lab)
	@mkdir -p out
	$(PUBLISH) lab -o out/lab
	@ln -sfn lab/vpc-lab out/vpc-lab
	@touch $@

demo: build ## a VPC with three nodes on this machine; checks every path, with addresses and with prefixes, and with IPv6 and dual stack
	@out/vpc-lab demo
	@out/vpc-lab demo --family ipv6
	@out/vpc-lab demo --family dual

test: build ## all tests; the last line has their numbers
	@scripts/run-tests

format: ## formats the code; make test fails on unformatted code
	@dotnet tool restore
	@dotnet csharpier format .

SEEDS ?= 100
sim: ## the daemon in virtual time over SEEDS=n new seeds, or repeats SEED=x; MODE=ipv4|ipv6|dual overrides the families
	@dotnet build tests/Simulation -c Release --nologo -v quiet
	@tests/Simulation/bin/Release/net10.0/VpcCni.Simulation.Tests simulate --seeds $(SEEDS) $(if $(SEED),--seed $(SEED)) \
		$(if $(MODE),--mode $(MODE))

bench: build out/vpc-cni-floor ## compares with ptp + host-local, the kernel, and EC2 calls of the AWS VPC CNI; a table and a JSON file
	@dotnet build bench -c Release --nologo -v quiet
	@bench/bin/Release/net10.0/vpc-cni-bench .
	@dotnet build tests/Simulation -c Release --nologo -v quiet
	@tests/Simulation/bin/Release/net10.0/VpcCni.Simulation.Tests simulate --rows

FLOOR := $(shell find bench/Floor netlink datapath -name bin -prune -o -name obj -prune -o \( -name '*.cs' -o -name '*.csproj' \) -print)
out/vpc-cni-floor: $(FLOOR)
	$(PUBLISH) bench/Floor -r $(RID) -p:CppCompilerAndLinker=$(CC) -o out/native/vpc-cni-floor
	@ln -sfn native/vpc-cni-floor/vpc-cni-floor out/vpc-cni-floor
	@touch $@

clean: ## removes everything generated
	rm -rf out
	find . -type d \( -name bin -o -name obj -o -name node_modules -o -name TestResults \) -prune -exec rm -rf {} +
