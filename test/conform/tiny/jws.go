package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
)

var b64url = base64.RawURLEncoding.Strict()
var b64 = base64.StdEncoding.Strict()

type signer struct {
	kid     string
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

func newSigner(kid string) *signer {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	return &signer{kid, private, public}
}

func (s *signer) x() string { return b64url.EncodeToString(s.public) }

// thumbprint is RFC 7638's of the public key.
func (s *signer) thumbprint() string {
	h := sum([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + s.x() + `"}`))
	return b64url.EncodeToString(h[:])
}

// sign makes a compact JWS over bytes that are canonical JSON already.
func (s *signer) sign(header string, payload []byte) string {
	text := b64url.EncodeToString([]byte(header)) + "." + b64url.EncodeToString(payload)
	return text + "." + b64url.EncodeToString(ed25519.Sign(s.private, []byte(text)))
}

// opened is the payload of a JWS with exactly this header and a good signature.
func (s *signer) opened(jws, header string) ([]byte, bool) {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return nil, false
	}
	head, err1 := b64url.DecodeString(parts[0])
	payload, err2 := b64url.DecodeString(parts[1])
	signature, err3 := b64url.DecodeString(parts[2])
	if err1 != nil || err2 != nil || err3 != nil || string(head) != header {
		return nil, false
	}
	return payload, ed25519.Verify(s.public, []byte(parts[0]+"."+parts[1]), signature)
}

// canonical is RFC 8785 for what is written here: ASCII names, integers, texts without control characters.
func canonical(value interface{}) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	must(encoder.Encode(value))
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func hexSum(data []byte) string {
	h := sum(data)
	return hex.EncodeToString(h[:])
}

// text is so many random bytes in base64url.
func randomText(count int) string {
	data := make([]byte, count)
	_, err := rand.Read(data)
	must(err)
	return b64url.EncodeToString(data)
}
