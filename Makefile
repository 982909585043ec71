# The face of the repository. Everything works from a fresh clone, as root, on Linux: what a target needs, it installs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

RID := linux-$(subst aarch64,arm64,$(subst x86_64,x64,$(shell uname -m)))
# The native linker's front end: clang where there is one, else gcc.
CC := $(shell command -v clang >/dev/null 2>&1 && echo clang || echo gcc)
PUBLISH := dotnet publish -c Release --nologo -v quiet
# What a folder list is built from.
sources = $(shell find $(1) -name bin -prune -o -name obj -prune \
	-o \( -name '*.cs' -o -name '*.csproj' -o -name '*.proto' -o -name '*.xml' -o -name '*.gz' -o -name '*.txt' \) -print) \
	global.json Directory.Build.props Directory.Build.targets Directory.Packages.props
DAEMON := protos datapath netlink logging missed-dels ipamd

.PHONY: help tools build demo test format sim bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

tools: ## install what building, the demo and the tests need
	@scripts/install-tools

build: tools out/.node out/.operator out/.lab ## out/ipamd, out/vpc-cni and out/kubectl-vpccni as native code, and out/vpc-lab

# What runs on a node: all that the image needs.
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

out/.lab: $(call sources,datapath netlink lab)
	@mkdir -p out
	$(PUBLISH) lab -o out/lab
	@ln -sfn lab/vpc-lab out/vpc-lab
	@touch $@

demo: build ## a VPC with three nodes on this machine, with addresses and with prefixes; every path must pass, whatever happens
	@out/vpc-lab demo

test: build ## all tests; the last line counts them
	@scripts/run-tests

format: ## formats the code; make test fails on code that is not
	@dotnet tool restore
	@dotnet csharpier format .

SEEDS ?= 100
sim: ## the daemon in virtual time over SEEDS=n fresh seeds, or SEED=x again
	@dotnet build tests/Simulation -c Release --nologo -v quiet
	@tests/Simulation/bin/Release/net10.0/VpcCni.Simulation.Tests simulate --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

bench: build out/vpc-cni-floor ## beside ptp + host-local and the kernel alone; EC2 calls beside the AWS VPC CNI: a table, and a JSON file
	@dotnet build bench -c Release --nologo -v quiet
	@bench/bin/Release/net10.0/vpc-cni-bench .
	@dotnet build tests/Simulation -c Release --nologo -v quiet
	@tests/Simulation/bin/Release/net10.0/VpcCni.Simulation.Tests simulate --rows

FLOOR := $(shell find bench/Floor netlink datapath -name bin -prune -o -name obj -prune -o \( -name '*.cs' -o -name '*.csproj' \) -print)
out/vpc-cni-floor: $(FLOOR)
	$(PUBLISH) bench/Floor -r $(RID) -p:CppCompilerAndLinker=$(CC) -o out/native/vpc-cni-floor
	@ln -sfn native/vpc-cni-floor/vpc-cni-floor out/vpc-cni-floor
	@touch $@

clean: ## remove everything generated
	rm -rf out
	find . -type d \( -name bin -o -name obj -o -name node_modules -o -name TestResults \) -prune -exec rm -rf {} +
