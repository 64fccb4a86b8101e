# make test   the tests, quickly          make check  what CI runs: everything, in full
# make mutants  the harnesses against planted faults     make soak  the long runs
SHELL := /bin/bash
GOLANGCI_VERSION := v2.15.0
GOTESTSUM_VERSION := v1.13.0
TOOLS := $(CURDIR)/.tools/bin
GO_TEST := go test -race -shuffle=on
# The race detector watches everything but the translation of SQLite's C, in which there
# is no goroutine: decision 0028.
UNWATCHED := -gcflags=github.com/ncruces/go-sqlite3-wasm/...=-race=false
# The race detector needs cgo; the program itself is built without.
export CGO_ENABLED ?= 1

.PHONY: build test check lint fmt mutants fuzz bench soak clean aws-build aws-local aws-mutants

build:
	CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o bin/restock ./cmd/restock

test check mutants: export GOFLAGS += $(UNWATCHED)

test:
	@command -v gcc >/dev/null || { echo "the race detector needs gcc: apt-get install gcc"; exit 1; }
	$(GO_TEST) -timeout 60m ./...

# RESTOCK_TEST_FULL=1 gives the counts in full; scripts/check fails when a test
# was skipped.
check: lint $(TOOLS)/gotestsum
	scripts/check

lint: $(TOOLS)/golangci-lint
	$(TOOLS)/golangci-lint run ./...

$(TOOLS)/golangci-lint:
	@echo "building golangci-lint $(GOLANGCI_VERSION), once"
	GOBIN=$(TOOLS) CGO_ENABLED=0 go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

$(TOOLS)/gotestsum:
	GOBIN=$(TOOLS) CGO_ENABLED=0 go install gotest.tools/gotestsum@$(GOTESTSUM_VERSION)

fmt: $(TOOLS)/golangci-lint
	$(TOOLS)/golangci-lint fmt ./...

mutants:
	go run ./test/mutants

# The functions of AWS: the program for their processor, and the catalogue beside
# it, with the authorities by which they know the database when AWS_DATABASE_CA
# names a file with them.
AWS_ARCH ?= arm64
AWS_CATALOG ?= cmd/restock/example.yaml
aws-build:
	CGO_ENABLED=0 GOOS=linux GOARCH=$(AWS_ARCH) go build -tags lambda.norpc -trimpath -ldflags="-s -w" -o deploy/aws/build/bootstrap ./cmd/restock
	cp $(AWS_CATALOG) deploy/aws/build/catalog.yaml
	$(if $(AWS_DATABASE_CA),cp $(AWS_DATABASE_CA) deploy/aws/build/)

# The story on this machine, through the template's own wiring; and the same
# without each part of the template in turn, which takes about five minutes.
aws-local:
	go run ./test/awslocal/run
aws-mutants:
	go run ./test/awslocal/run -mutants

fuzz:
	scripts/fuzz 10s

clean:
	rm -rf bin .tools deploy/aws/build

bench:
	go run ./bench $(if $(LARGE),-large)
	go test -run '^$$' -bench Engine -benchtime 5000x ./internal/queue/...
	go test -run '^$$' -bench . -benchtime 50x ./internal/dashboard
	go run ./test/awslocal/run -cold 40

# What takes too long for every change; dates, seeds and figures go into docs/soak.md.
soak:
	RESTOCK_TEST_SOAK=1 go test -timeout 60m -count=1 -v -run TestPowerCut ./internal/store
	RESTOCK_TEST_SOAK=1 go test -timeout 3h -count=1 -v -run TestOrderingHoldsItsPromises ./test/simulation
	RESTOCK_TEST_SOAK=1 go test -timeout 60m -count=1 -v -run TestACluster ./internal/queue/jetstream
	RESTOCK_TEST_SOAK=1 go test -timeout 60m -count=1 -v -run 'TestALargeShopMoves|TestMySQLKeeps' ./internal/store
