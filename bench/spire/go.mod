// SPIRE's agent, to be measured beside ours. Its modules' checksums are those of Go's checksum database.
module bench.invalid/spire

go 1.21

require github.com/spiffe/spire v1.13.3
