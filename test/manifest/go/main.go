// Opens a manifest by golang.org/x/mod/sumdb/note, which reeve has no part in, and compares its text with what Go's own JSON makes of it.
// Usage: open VKEY FILE. Prints `KEY-NAME SHA256-OF-THE-TEXT-WITHOUT-ITS-NEWLINE`.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func main() {
	verifier, err := note.NewVerifier(os.Args[1])
	if err != nil {
		fail("the key: %v", err)
	}
	bytesOf, err := os.ReadFile(os.Args[2])
	if err != nil {
		fail("%v", err)
	}
	opened, err := note.Open(bytesOf, note.VerifierList(verifier))
	if err != nil {
		fail("the note: %v", err)
	}
	line := strings.TrimSuffix(opened.Text, "\n")
	var value any
	if err := json.Unmarshal([]byte(line), &value); err != nil {
		fail("the text: %v", err)
	}
	// Go sorts keys too; with ASCII names and small integers its text is the canonical one.
	var again bytes.Buffer
	encoder := json.NewEncoder(&again)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		fail("the text: %v", err)
	}
	if again.String() != opened.Text {
		fail("not canonical")
	}
	fmt.Printf("%s %x\n", opened.Sigs[0].Name, sha256.Sum256([]byte(line)))
}
