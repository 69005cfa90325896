// Verifies a proof that `reeve audit prove` wrote with filippo.io/torchwood, which reeve has no part in.
// Usage: proof FILE LINE LOGVKEY [WITNESSVKEY…]: the entry's line in a file of its own, the log's key, the witnesses that must have cosigned.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		fail("%v", err)
	}
	return data
}

func main() {
	proof, line := read(os.Args[1]), read(os.Args[2])
	log, err := note.NewVerifier(os.Args[3])
	if err != nil {
		fail("log key: %v", err)
	}
	policies := []torchwood.Policy{torchwood.SingleVerifierPolicy(log), torchwood.OriginPolicy(log.Name())}
	for _, text := range os.Args[4:] {
		witness, err := torchwood.NewCosignatureVerifier(text)
		if err != nil {
			fail("witness key: %v", err)
		}
		policies = append(policies, torchwood.SingleVerifierPolicy(witness))
	}
	policy := torchwood.ThresholdPolicy(len(policies), policies...)
	if err := torchwood.VerifyProof(policy, tlog.RecordHash(line), proof); err != nil {
		fail("proof: %v", err)
	}
	extra, err := torchwood.ProofExtraData(proof)
	if err != nil {
		fail("extra: %v", err)
	}
	var lines struct {
		Entry string   `json:"entry"`
		Key   string   `json:"key"`
		Path  []string `json:"path"`
		V     int      `json:"v"`
	}
	if err := json.Unmarshal(extra, &lines); err != nil {
		fail("extra: %v", err)
	}
	fmt.Printf("proven, witnesses %d, extra holds the line: %v\n", len(os.Args)-4, lines.Entry == string(line) && lines.V == 1)
}
