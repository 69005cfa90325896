// A client of witnesses and a witness, put together from programs that reeve has no part in: transparency-dev's witness and its client,
// golang.org/x/mod's notes and trees, torchwood's and transparency-dev's cosignatures.
//
//	wit feed URL LOGKEY WITNESSKEY FOLDER SIZE...   hands heads of these sizes in, one after the other, with proofs by sumdb/tlog
//	wit send URL LOGKEY FOLDER OLD SIZE [FROM]      one head with the proof from FROM (OLD without it); prints what the client makes of the answer
//	wit check LOGKEY WITNESSKEY < NOTE              verifies a note's signatures
//	wit serve NAME LOGKEY                           a witness on a free port of loopback, in memory; prints URL and key
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"filippo.io/torchwood"
	f_note "github.com/transparency-dev/formats/note"
	client "github.com/transparency-dev/witness/client/http"
	"github.com/transparency-dev/witness/persistence/inmemory"
	"github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func must[T any](value T, err error) T {
	if err != nil {
		fail("%v", err)
	}
	return value
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = h[index]
	}
	return out, nil
}

// The log in a folder: its tree, and its newest note of each size.
func readLog(folder string) (hashes, map[int64][]byte) {
	segments := must(filepath.Glob(filepath.Join(folder, "*.jsonl")))
	sort.Strings(segments)
	var stored hashes
	n := int64(0)
	for _, path := range segments {
		data := must(os.ReadFile(path))
		for _, line := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
			stored = append(stored, must(tlog.StoredHashes(n, line, stored))...)
			n++
		}
	}
	heads := map[int64][]byte{}
	parts := strings.Split(string(must(os.ReadFile(filepath.Join(folder, "checkpoints")))), "\n\n")
	for i := 0; i+1 < len(parts); i += 2 {
		text := parts[i] + "\n\n" + parts[i+1] + "\n"
		heads[must(strconv.ParseInt(strings.Split(text, "\n")[1], 10, 64))] = []byte(text)
	}
	return stored, heads
}

// Hands in the head of one size. `from`: where the proof begins, whatever `old` says.
func send(w client.Witness, stored hashes, heads map[int64][]byte, old, from, size int64) ([]byte, uint64, error) {
	var proof [][]byte
	if from > 0 && from < size {
		for _, hash := range must(tlog.ProveTree(size, from, stored)) {
			proof = append(proof, hash[:])
		}
	}
	head := heads[size]
	if head == nil {
		fail("there is no head of size %d", size)
	}
	ctx, done := context.WithTimeout(context.Background(), 60*time.Second)
	defer done()
	return w.Update(ctx, uint64(old), head, proof)
}

// Both verifiers must take the cosignature, and sumdb/note the log's own.
func check(text []byte, logKey, witnessKey string) []string {
	log := must(note.NewVerifier(logKey))
	theirs := must(f_note.NewVerifierForCosignatureV1(witnessKey))
	torch := must(torchwood.NewCosignatureVerifier(witnessKey))
	var names []string
	for _, verifier := range []note.Verifier{theirs, torch} {
		opened := must(note.Open(text, note.VerifierList(log, verifier)))
		if len(opened.Sigs) != 2 {
			fail("%d signatures, not the log's and the witness's", len(opened.Sigs))
		}
		names = []string{opened.Sigs[0].Name, opened.Sigs[1].Name}
		stamp := must(torchwood.CosignatureTimestamp(opened.Sigs[1]))
		if age := time.Since(time.Unix(stamp, 0)); age < -time.Minute || age > time.Hour {
			fail("cosigned at %d, which is not now", stamp)
		}
	}
	return names
}

func to(address string) client.Witness {
	return client.NewWitness(must(url.Parse(address)), &http.Client{})
}

func number(text string) int64 {
	return must(strconv.ParseInt(text, 10, 64))
}

func feed(args []string) {
	w, logKey, witnessKey := to(args[0]), args[1], args[2]
	stored, heads := readLog(args[3])
	old := int64(0)
	for _, text := range args[4:] {
		size := number(text)
		lines, _, err := send(w, stored, heads, old, old, size)
		if err != nil {
			fail("size %d from %d: %v", size, old, err)
		}
		check(append(append([]byte{}, heads[size]...), lines...), logKey, witnessKey)
		fmt.Printf("cosigned %d\n", size)
		old = size
	}
}

func sendOne(args []string) {
	stored, heads := readLog(args[2])
	old, size := number(args[3]), number(args[4])
	from := old
	if len(args) > 5 {
		from = number(args[5])
	}
	_, known, err := send(to(args[0]), stored, heads, old, from, size)
	switch {
	case err == nil:
		fmt.Println("cosigned")
	case errors.Is(err, witness.ErrCheckpointStale):
		fmt.Printf("stale %d\n", known)
	case errors.Is(err, witness.ErrUnknownLog):
		fmt.Println("unknown log")
	case errors.Is(err, witness.ErrNoValidSignature):
		fmt.Println("no valid signature")
	case errors.Is(err, witness.ErrOldSizeInvalid):
		fmt.Println("old size invalid")
	case errors.Is(err, witness.ErrInvalidProof):
		fmt.Println("invalid proof")
	default:
		fail("%v", err)
	}
}

func serve(args []string) {
	skey, vkey, err := note.GenerateKey(rand.Reader, args[0])
	if err != nil {
		fail("%v", err)
	}
	signer := must(f_note.NewSignerForCosignatureV1(skey))
	logKey := must(note.NewVerifier(args[1]))
	w := must(witness.New(context.Background(), witness.Opts{
		Persistence: inmemory.New(),
		Signers:     []note.Signer{signer},
		VerifierForLog: func(_ context.Context, origin string) (note.Verifier, bool, error) {
			return logKey, origin == logKey.Name(), nil
		},
	}))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", witness.NewHTTPHandler(w).AddCheckpoint)
	// The key of a cosigner is the same key under another type (c2sp.org/tlog-cosignature).
	key := must(f_note.NewVerifierForCosignatureV1(vkey))
	line := must(json.Marshal(map[string]string{
		"url": "http://" + listener.Addr().String(), "name": args[0], "id": fmt.Sprintf("%08x", key.KeyHash()), "vkey": vkey,
	}))
	fmt.Println(string(line))
	// Ends with the one who started it.
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(0) }()
	fail("%v", http.Serve(listener, mux))
}

func main() {
	switch args := os.Args[2:]; os.Args[1] {
	case "feed":
		feed(args)
	case "send":
		sendOne(append(args[:1:1], args[1:]...))
	case "check":
		fmt.Println(strings.Join(check(must(io.ReadAll(os.Stdin)), args[0], args[1]), "\n"))
	case "serve":
		serve(args)
	default:
		fail("no such verb")
	}
}
