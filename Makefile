# Everything that a checkout needs: `make run` and `make test`. README.md has the same steps as plain commands.

# -trimpath keeps the paths of the building machine out of the binaries.
GO_BUILD = go build -trimpath

.PHONY: run build test tools retime retime-verify web test-go test-web test-e2e test-packages clean

run: build
	exec bin/tourbillon $(ARGS)

# bin/tourbillon has pion on the injected clock; bin/tourbillon-stdtime is the same sources with pion as published.
build: tools retime web
	$(GO_BUILD) -o bin/tourbillon .
	GOWORK=off $(GO_BUILD) -o bin/tourbillon-stdtime .

# One line for each tool that is missing or too old.
tools:
	@.ci/tools

# Copies pion onto the injected clock and lists the program's timers; writes nothing where nothing changed. GOWORK=off,
# since a go.work whose copies are gone would stop the go command.
retime: tools
	@GOWORK=off go generate ./timing/...

# Runs the unit tests of pion's own authors as published and re-timed, and prints the difference; ten to twenty minutes.
# It needs unshare and ip, for a network of the tests' own; ARGS=-host-network does without.
retime-verify: tools
	@.ci/packages unshare:util-linux ip:iproute2
	GOWORK=off go run ./timing/retime/verify $(ARGS)

web: web/dist/call/index.html

web/node_modules/.package-lock.json: web/package.json web/package-lock.json | tools
	npm --prefix web ci --no-audit --no-fund
	@touch $@

WEB_SOURCES = $(shell find web/app web/base web/call web/check web/sdk -type f) $(wildcard web/*.ts web/*.json)
web/dist/call/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	npm --prefix web run build
	@touch $@

test: build test-packages test-go test-web test-e2e

# The generator and the inventory read the whole program, which the race detector makes slow; they run without it. So do
# a million timers. What the relay's loops may have of a stack differs between processors, and only the linker tells. The
# last run holds the same sources against pion as published.
READERS = /timing/(retime|inventory)
test-go: retime web test-packages
	test -z "$$(gofmt -l main.go appliance signaling systemd timing turn web/*.go)"
	go vet ./...
	go test -race -tags interop $$(go list ./... | grep -Ev '$(READERS)')
	go test $$(go list ./... | grep -E '$(READERS)')
	go test -count=1 -run Conformance ./timing
	GOARCH=arm64 go test -c -o /dev/null ./turn/relay
	go test -count=1 -v -run Exposure ./systemd
	go test -count=1 -tags gate -run Gate ./appliance/bench
	GOWORK=off go vet ./...
	GOWORK=off go test ./appliance/... ./signaling/agent/...

test-web: web
	npm --prefix web run typecheck
	npm --prefix web test

test-e2e: build test-packages
	npm --prefix web run e2e

test-packages:
	@.ci/packages chromium:chromium turnutils_uclient:coturn systemd-analyze:systemd ip:iproute2 openssl:openssl

clean:
	rm -rf bin .retimed .retimed-new-* go.work go.work.sum appliance/observe/timers/inventory.json artefacts web/node_modules web/dist/app web/dist/call web/dist/check web/dist/sdk
