// Holds a reeve log to golang.org/x/mod: checkpoints by sumdb/note, the tree by sumdb/tlog, which reeve has no part in.
// Usage: check "FROM=VKEY…" FOLDER INDEX: each segment's first index and its key, which signs heads of that segment alone. Prints what holds; exits 1 with the first thing that does not.
package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = h[index]
	}
	return out, nil
}

type segmentKey struct {
	from     int64
	verifier note.Verifier
}

// keyFor is the one key that may sign a head: that of the segment in which its newest entry stands.
func keyFor(keys []segmentKey, text string) note.Verifier {
	fields := strings.Split(text, "\n")
	if len(fields) < 2 {
		fail("not a checkpoint: %q", text)
	}
	size, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		fail("not a checkpoint: %v", err)
	}
	found := keys[0].verifier
	for _, key := range keys {
		if key.from < size {
			found = key.verifier
		}
	}
	return found
}

func main() {
	var keys []segmentKey
	for _, text := range strings.Fields(os.Args[1]) {
		from, vkey, _ := strings.Cut(text, "=")
		verifier, err := note.NewVerifier(vkey)
		if err != nil {
			fail("key: %v", err)
		}
		first, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			fail("key: %v", err)
		}
		keys = append(keys, segmentKey{first, verifier})
	}
	segments, _ := filepath.Glob(filepath.Join(os.Args[2], "*.jsonl"))
	sort.Strings(segments)
	var lines [][]byte
	for _, path := range segments {
		data, err := os.ReadFile(path)
		if err != nil {
			fail("%v", err)
		}
		lines = append(lines, bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))...)
	}
	var stored hashes
	for i, line := range lines {
		more, err := tlog.StoredHashes(int64(i), line, stored)
		if err != nil {
			fail("%v", err)
		}
		stored = append(stored, more...)
	}
	data, err := os.ReadFile(filepath.Join(os.Args[2], "checkpoints"))
	if err != nil {
		fail("%v", err)
	}
	parts := strings.Split(strings.TrimSuffix(string(data), "\n\n"), "\n\n")
	checked := 0
	var size int64
	var root tlog.Hash
	for i := 0; i+1 < len(parts); i += 2 {
		opened, err := note.Open([]byte(parts[i]+"\n\n"+parts[i+1]+"\n"), note.VerifierList(keyFor(keys, parts[i])))
		if err != nil {
			fail("checkpoint %d: %v", i/2, err)
		}
		fields := strings.Split(opened.Text, "\n")
		if fields[0] != keys[0].verifier.Name() {
			fail("checkpoint %d: origin %s", i/2, fields[0])
		}
		size, _ = strconv.ParseInt(fields[1], 10, 64)
		want, err := base64.StdEncoding.DecodeString(fields[2])
		if err != nil {
			fail("checkpoint %d: %v", i/2, err)
		}
		root, err = tlog.TreeHash(size, stored)
		if err != nil || !bytes.Equal(root[:], want) {
			fail("checkpoint %d: the root over %d lines is another", i/2, size)
		}
		checked++
	}
	index, _ := strconv.ParseInt(os.Args[3], 10, 64)
	proof, err := tlog.ProveRecord(size, index, stored)
	if err != nil {
		fail("proof: %v", err)
	}
	if err := tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(lines[index])); err != nil {
		fail("proof: %v", err)
	}
	fmt.Printf("%d lines, %d checkpoints, proof of %d:", len(lines), checked, index)
	for _, hash := range proof {
		fmt.Printf(" %s", base64.StdEncoding.EncodeToString(hash[:]))
	}
	fmt.Println()
}
