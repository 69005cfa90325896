package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"strconv"
	"strings"
)

// RFC 6962 section 2.1.
func leafHash(line string) [32]byte { return sum(append([]byte{0}, line...)) }

func rootOf(leaves [][32]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sum(nil)
	case 1:
		return leaves[0]
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	left, right := rootOf(leaves[:split]), rootOf(leaves[split:])
	return sum(bytes.Join([][]byte{{1}, left[:], right[:]}, nil))
}

// head is a checkpoint (c2sp.org/tlog-checkpoint) out of a signed note.
type head struct {
	size int
	root [32]byte
	// text is what was signed; byKey the signature under each key id that the log's name stands beside.
	text  string
	byKey map[uint32][]byte
}

// keyID is c2sp.org/signed-note's for an Ed25519 key.
func keyID(name string, key []byte) uint32 {
	h := sum(append([]byte(name+"\n\x01"), key...))
	return binary.BigEndian.Uint32(h[:4])
}

func readHead(note, origin string) (head, bool) {
	gap := strings.LastIndex(note, "\n\n")
	if gap < 0 || !strings.HasSuffix(note, "\n") {
		return head{}, false
	}
	h := head{text: note[:gap+1], byKey: map[uint32][]byte{}}
	lines := strings.Split(h.text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return head{}, false
	}
	size, err := strconv.Atoi(lines[1])
	if err != nil || size < 0 || strconv.Itoa(size) != lines[1] {
		return head{}, false
	}
	root, err := b64.DecodeString(lines[2])
	if err != nil || len(root) != 32 {
		return head{}, false
	}
	h.size = size
	copy(h.root[:], root)
	for _, line := range strings.Split(strings.TrimSuffix(note[gap+2:], "\n"), "\n") {
		words := strings.Split(line, " ")
		if len(words) != 3 || words[0] != "\u2014" {
			return head{}, false
		}
		data, err := b64.DecodeString(words[2])
		if err != nil || len(data) < 5 {
			return head{}, false
		}
		if words[1] == origin {
			h.byKey[binary.BigEndian.Uint32(data[:4])] = data[4:]
		}
	}
	return h, len(h.byKey) > 0
}

// logKey signs heads of sizes from+1 up to the next key's from.
type logKey struct {
	key  []byte
	from int
}

type judged int

const (
	good judged = iota
	forged
	// unknownKey: of a segment whose first line has not come yet.
	unknownKey
)

// judge says whether the key whose range the head lies in signed it.
func judge(h head, origin string, keys []logKey, entries int) judged {
	if broken("forged-checkpoint-taken") {
		return good
	}
	for i := len(keys) - 1; i >= 0; i-- {
		if h.size <= keys[i].from && i > 0 {
			continue
		}
		signature, there := h.byKey[keyID(origin, keys[i].key)]
		if there && ed25519.Verify(keys[i].key, []byte(h.text), signature) {
			return good
		}
		if !there && h.size > entries && i == len(keys)-1 {
			return unknownKey
		}
		return forged
	}
	return unknownKey
}
