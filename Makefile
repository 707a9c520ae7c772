# make up     a cloud on this machine, with a first server
# make test   everything that CI runs
#
# A bare Debian 12 with make is enough: what is missing is installed.

SHELL := /bin/bash
GO = $(shell tools/toolchain)
export CGO_ENABLED = 0

# What the tests need beyond what "mek up" installs by itself.
ENGINES := qemu-system-x86 qemu-utils openvswitch-switch ovn-central ovn-host bubblewrap nftables iproute2 openssh-client
TESTING := $(ENGINES) postgresql python3-openstackclient python3-boto3 python3-lxml awscli genisoimage xmlsec1 ca-certificates git procps iputils-ping

# What the conformance tests need: they run in a namespace, where they cannot install it.
CLIENTS_OF := openstackclient heatclient octaviaclient magnumclient ironicclient swiftclient troveclient saharaclient zunclient \
	designateclient barbicanclient aodhclient gnocchiclient manilaclient mistralclient neutronclient novaclient cinderclient \
	glanceclient osc-placement zaqarclient
CONFORMANCE := tempest $(addprefix python3-,$(CLIENTS_OF))

.PHONY: bare up test check build guest lint clean conformance limits bench soak hostile scale growth packages-engines packages-test

# mek up itself installs the engines' packages, and keeps their services from starting.
up: build guest
	bin/mek up
	bin/mek launch --first

build:
	@go='$(GO)'; test -n "$$go" || exit 1; mkdir -p bin; \
	"$$go" build -trimpath -ldflags '-s -w' -o bin/mek ./cmd/mek && echo "built bin/mek"

# The tiny guest: an image of 23 MB that behaves like CirrOS. Cached in out/guest.
guest:
	guest/build out/guest

test: packages-test build guest
	@go='$(GO)'; test -n "$$go" || exit 1; \
	"$$go" vet ./... && \
	MEK_BINARY=$(CURDIR)/bin/mek MEK_TEST_GUEST=$(CURDIR)/out/guest "$$go" test -timeout 25m ./...

# The same without real guests.
check: packages-test
	@go='$(GO)'; test -n "$$go" || exit 1; \
	"$$go" vet ./... && "$$go" test -short -timeout 15m ./...

lint:
	@go='$(GO)'; test -n "$$go" || exit 1; "$$go" vet ./... && "$$go" test ./internal/lint

packages-engines:
	tools/packages $(ENGINES)

packages-test:
	tools/packages $(TESTING)

# Tempest and the client rows of ../shared; LISTS and CLIENTS choose.
conformance: packages-test build guest
	tools/packages $(CONFORMANCE)
	tools/conformance

# What this machine can do at best, to out/limits.jsonl. SECONDS_EACH (1) is the least time of each measurement.
limits: guest
	tools/packages nginx qemu-system-x86
	@go='$(GO)'; test -n "$$go" || exit 1; mkdir -p out; \
	"$$go" build -o out/limits ./tools/limits && \
	MEK_COMMAND="make limits" out/limits -dir /var/lib -seconds $${SECONDS_EACH:-1} -guest out/guest/guest.qcow2 >out/limits.jsonl.new && \
	mv out/limits.jsonl.new out/limits.jsonl && $(PERFORMANCE)

# Rates and latencies on simulated hosts, and what guests and ports take on the real data plane, to out/bench.jsonl;
# PEER=1 measures a real OpenStack beside it. See tools/bench for what can be chosen.
bench: build guest packages-engines
	tools/packages jq bc
	tools/bench
	@$(PERFORMANCE)

# The page of every figure, from what was measured last.
PERFORMANCE = '$(GO)' run ./tools/performance out/limits.jsonl out/bench.jsonl out/scale.jsonl out/growth.jsonl && echo "written: docs/performance.md"

# Every fault test, for SOAK (30m) in all ("make test" has a minute of each at most), and docs/reliability.md from
# their figures. RUN=Kills chooses by name; MEK_TEST_SEED repeats one seed.
soak: packages-test build guest
	tools/soak

# N hostile requests over every route (docs/security.md); SEED repeats a run.
hostile: packages-test
	@go='$(GO)'; test -n "$$go" || exit 1; \
	MEK_HOSTILE_N=$${N:-10000000} MEK_TEST_SEED=$${SEED:-} "$$go" test -count 1 -v -timeout 24h -run TestHostile ./test/hostile

# N simulated hosts with M servers on this machine, to out/scale.jsonl (SEEDED=1: the servers are copies of one
# server's rows, for sizes that the API could not fill in a day; MEK_SCALE_PROFILE=file profiles the processors
# under two of its loads); then how hot operations grow with ROWS times
# the rows, on both databases, to out/growth.jsonl and the curves in docs.
scale: packages-test
	@go='$(GO)'; test -n "$$go" || exit 1; mkdir -p out; rm -f out/scale.jsonl; \
	MEK_SCALE=1 MEK_SCALE_HOSTS=$${N:-10000} MEK_SCALE_SERVERS=$${M:-1000000} MEK_MEASURED=$(CURDIR)/out/scale.jsonl \
	MEK_SCALE_SEEDED=$${SEEDED:-} MEK_COMMAND="make scale N=$${N:-10000} M=$${M:-1000000}$${SEEDED:+ SEEDED=1}" "$$go" test -count 1 -v -timeout 24h -run 'TestScale|TestSeeded' ./test/scale
	@$(MAKE) growth

growth: packages-test
	@go='$(GO)'; test -n "$$go" || exit 1; mkdir -p out; rm -f out/growth.jsonl; \
	MEK_GROWTH=$${ROWS:-1000} MEK_GROWTH_CURVES=$(CURDIR)/docs MEK_MEASURED=$(CURDIR)/out/growth.jsonl MEK_COMMAND="make growth" \
	"$$go" test -count 1 -v -timeout 24h -run TestGrowth ./test/scale && $(PERFORMANCE)

# What the README promises, on a Debian 12 imitated in namespaces.
bare:
	tools/bare

clean:
	rm -rf bin out
