# Everything here needs Go and make alone; `make bench-wrk` also needs wrk.

GO       ?= go
BIN      := bin/kvd
FUZZTIME ?= 20s
DURATION ?= 1h
PKG      ?= ./...
REPORTS  ?= chaos-reports
STAMP    := $(shell date -u +%Y%m%dT%H%M%SZ)
CHAOS     = bin/chaos -binary $(BIN) $(CHAOSARGS)

# The race detector needs a C compiler on most systems; without one the tests run without it and say so.
RACE := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)
# Stamp the commit into the binary where git can be asked.
VCS  := $(if $(shell git rev-parse --git-dir 2>/dev/null),auto,false)

# goreman answers `goreman run ...` on this address; its own default is every interface.
export GOREMAN_RPC_ADDR ?= 127.0.0.1

.DEFAULT_GOAL := help
.PHONY: help build run cluster test check fuzz sim chaos chaos-short chaos-release bin/chaos bin/bench bench bench-full test-bench mutants powerfail powerfail-short soak bench-wrk bench-watch bench-keys bench-snapshot test-long test-model clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build ./bin/kvd
	$(GO) build -trimpath -buildvcs=$(VCS) -o $(BIN) ./cmd/kvd

run: build ## start one member on 127.0.0.1:12380, data under ./data
	./$(BIN) serve --data-dir data/single

# -exit-on-stop=false: members are there to be stopped and started; left alone, goreman ends once each has ended one time.
cluster: build ## start three members on 12380, 22380 and 32380 under goreman (Procfile)
	$(GO) tool goreman -exit-on-stop=false start

# Whole clusters in virtual time take six times as long with the race detector: only the random ones, which do everything at
# once, run with it. Tests of the real binary (./test) run without it: it would see only the tests themselves, and slow them
# so much that they take kvd's answers for late.
RANDOM_SCENES = '^(TestSimulation|TestReconfiguration|TestKilledAtAnyMoment|TestSlowPeer)$$'
test: ## run all tests, in random order, most packages with the race detector
	$(if $(RACE),,@echo "no C compiler: running without the race detector")
	$(GO) test $(RACE) -p 3 -shuffle=on $$($(GO) list ./... | grep -v -e '/test$$' -e '/clustertest$$')
	@status=0; \
	$(GO) test -shuffle=on -parallel=3 -timeout=8m ./test/ & \
	$(GO) test $(RACE) -run $(RANDOM_SCENES) ./internal/clustertest || status=1; \
	$(GO) test -shuffle=on -skip $(RANDOM_SCENES) ./internal/clustertest || status=1; \
	$(GO) test -run '^TestMachineAgainstModel$$' ./internal/kvstore -args -model.commands=200000 || status=1; \
	$(GO) test -run '^TestAllocations$$' ./client ./internal/http1 ./internal/httpapi ./internal/kvstore ./internal/raftnode ./internal/transport || status=1; \
	wait $$! || status=1; exit $$status

check: ## gofmt, vet, staticcheck and the import graph
	@files="$$("$$($(GO) env GOROOT)/bin/gofmt" -l .)"; if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test ./internal/archtest/

test-long: ## the long forms: 40 membership changes under writes and kills, long cuts of the network, a slow link, more faults and seeds
	KVD_CHANGES=40 KVD_PARTITION_LONG=1 KVD_SLOW_SECONDS=60 KVD_FAULT_SECONDS=60 $(GO) test -count=1 -v -timeout=20m \
	  -run '^(TestMembershipChanges|TestPartialPartitions|TestIsolatedFollower|TestIsolatedLeader|TestSlowPeer|TestFaults)$$' ./test/
	$(GO) test -count=1 -v -timeout=20m -run '^(TestReconfiguration|TestKilledAtAnyMoment|TestReadsAtAnElection)$$' ./internal/clustertest -args \
	  -scripts=40 -kill.seeds=80 -fresh.seeds=20

test-model: ## 1,000,000 commands through three machines and a model
	$(GO) test -count=1 -run '^TestMachineAgainstModel$$' ./internal/kvstore -args -model.commands=1000000

SEEDS       ?= $(if $(SEED),1,500)
FROM        ?= $(or $(SEED),1)
SIM_WORKERS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

sim: ## simulate SEEDS (500) clusters, beginning with seed FROM (1); SEED=4711 replays one and prints what was done to it
	$(GO) test -count=1 -timeout=0 $(if $(SEED),-v) -run '^TestSimulation$$' ./internal/clustertest -args \
	  -seeds=$(SEEDS) -seed=$(FROM) $(if $(SEED),-deeds,-workers=$(SIM_WORKERS))

chaos: bin/chaos ## 5 minutes of faults against the real binary, checked; needs root, see test/chaos/install-debian.sh
	$(CHAOS) -duration 5m -min-operations 150000 -min-faults 30 -report $(REPORTS)/$(STAMP)

chaos-short: bin/chaos ## the same for a minute, with the faults that fit
	$(CHAOS) -duration 60s -report $(REPORTS)/$(STAMP)

chaos-release: bin/chaos ## an hour of it, in twelve parts that are added up
	@for part in 01 02 03 04 05 06 07 08 09 10 11 12; do \
	  $(CHAOS) -duration 5m -report $(REPORTS)/$(STAMP)/$$part; code=$$?; \
	  if [ $$code = 2 ]; then exit 2; fi; \
	done; \
	bin/chaos sum -min-operations 2000000 -min-faults 400 -min-changes 40 -report $(REPORTS)/$(STAMP)/sum $(REPORTS)/$(STAMP)/??

# Not `go run`, which makes 1 of every exit code.
bin/chaos: build
	$(GO) build -trimpath -o $@ ./test/chaos

# As root, power failures and chaos runs are tried too: e2fsprogs, xfsprogs, and what test/chaos/install-debian.sh installs.
mutants: ## put real bugs back, one at a time, and show which tests catch each: a table, and bin/mutants.json; up to two hours
	@mkdir -p $(dir $(BIN))
	$(GO) run ./test/mutants -all -json $(dir $(BIN))mutants.json

fuzz: ## run every fuzz target for FUZZTIME (20s) each; PKG=./internal/kvstore for one package
	@set -e; for pkg in $$($(GO) list $(PKG)); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

powerfail: build ## 500 power failures on ext4 and 500 on xfs, nothing acknowledged may be lost; root, e2fsprogs, xfsprogs
	$(GO) build -o bin/powerfail ./test/powerfail
	bin/powerfail --kvd $(BIN) --json bin/powerfail.json

powerfail-short: build ## the same, 10 + 10
	$(GO) build -o bin/powerfail ./test/powerfail
	bin/powerfail --kvd $(BIN) --cycles 10 --json bin/powerfail.json

soak: build ## three members under load for DURATION (1h): memory, goroutines, descriptors and disk must be flat; report in bin/soak.d
	$(GO) build -o bin/soak ./test/soak
	bin/soak --kvd $(BIN) --duration $(DURATION) --out bin/soak.d

bench: build bin/bench ## kvd beside etcd and a bare HTTP handler, in less than 5 minutes: a table, and bin/bench.json; BENCHARGS="--run ^put/"
	bin/bench run --kvd $(BIN) --json bin/bench.json $(BENCHARGS)

bench-full: build bin/bench ## all of it, with more keys, members, values and clients; bin/bench-full.json
	bin/bench run --full --kvd $(BIN) --json bin/bench-full.json $(BENCHARGS)

# A module of its own, which brings etcd along.
bin/bench:
	cd bench && $(GO) build -trimpath -o ../$@ .

test-bench: build ## the tests of bench: short runs, with one member of each kind
	cd bench && $(GO) vet ./... && $(GO) tool -modfile=../go.mod staticcheck ./... && $(GO) test -count=1 ./... -args -kvd=$(CURDIR)/$(BIN)

bench-wrk: ## load the leader of three members and a bare net/http handler with wrk, print the ratios
	KVD_BENCH_WRK=1 $(GO) test -count=1 -v -timeout=20m -run '^TestWrkRatios$$' ./test/

bench-watch: ## what 10,000 idle watchers cost writers, and how fast 1,000 watchers of one key are told
	KVD_BENCH_WATCH=1 $(GO) test -count=1 -v -timeout=20m -run '^(TestIdleWatchers|TestFanOut)$$' ./test/

bench-snapshot: ## a state of 500 MB: what writing, sending and installing its snapshot costs writers
	KVD_BENCH_SNAPSHOT=1 $(GO) test -count=1 -v -timeout=20m -run '^TestBigSnapshot$$' ./test/

bench-keys: ## one member with 1,000,000 keys: memory, listings, snapshot, restart
	KVD_BENCH_KEYS=1 $(GO) test -count=1 -v -timeout=20m -run '^TestMillionKeys$$' ./test/

clean: ## remove ./bin (data under ./data stays)
	rm -rf bin
