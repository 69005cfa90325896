package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
)

type entry struct {
	V       int    `json:"v"`
	Index   int    `json:"index"`
	Cluster string `json:"cluster"`
	Epoch   int    `json:"epoch"`
	Time    string `json:"time"`
	Kind    string `json:"kind"`
	Command string `json:"command"`
	Digest  string `json:"digest"`
	Result  string `json:"result"`
	Code    string `json:"code"`
	Policy  string `json:"policy"`
	Origin  string `json:"origin"`
	LogKeys []struct {
		Key  string `json:"key"`
		From int    `json:"from"`
	} `json:"log_keys"`
	Key       json.RawMessage `json:"key"`
	Chain     []string        `json:"chain"`
	Signature json.RawMessage `json:"signature"`
	Handed    string          `json:"handed"`
}

var kinds = map[string]bool{
	"epoch": true, "segment": true, "started": true, "stopped": true, "trust": true, "trust-waiting": true, "trust-refused": true,
	"renewed": true, "policy": true, "switch": true, "clock": true, "torn": true, "gate": true, "rejected": true, "refused": true,
	"considered": true, "waiting": true, "approval": true, "fenced": true, "unfenced": true, "intent": true, "outcome": true, "cancelled": true,
}

func (p *plane) readEntry(by *certificate, would *agent, line string, at int) (entry, bool) {
	var e entry
	if len(line) >= 64*1024 || json.Unmarshal([]byte(line), &e) != nil || e.V != 1 || e.Index != at || e.Cluster != by.cluster.name || e.Epoch != would.epoch || !kinds[e.Kind] {
		return e, false
	}
	if (at == 0) != (e.Kind == "epoch") {
		return e, false
	}
	switch e.Kind {
	case "epoch":
		if len(e.LogKeys) != 1 || e.LogKeys[0].From != 0 {
			return e, false
		}
		return e, p.takeKey(by, would, e, e.LogKeys[0].Key, 0)
	case "segment":
		var key string
		if json.Unmarshal(e.Key, &key) != nil || len(would.keys) == 0 {
			return e, false
		}
		before := would.keys[len(would.keys)-1].key
		root := rootOf(would.leaves)
		signed := fmt.Sprintf("reeve log key\n%s\n%d\n%s\n%s\n", e.Origin, at, key, b64.EncodeToString(root[:]))
		handed, err := b64.DecodeString(e.Handed)
		if err != nil || !ed25519.Verify(before, []byte(signed), handed) {
			return e, false
		}
		return e, p.takeKey(by, would, e, key, at)
	}
	return e, true
}

// takeKey: the certificate's key vouches for the log's key from this index on.
func (p *plane) takeKey(by *certificate, would *agent, e entry, key string, from int) bool {
	public, err := b64.DecodeString(key)
	if err != nil || len(public) != ed25519.PublicKeySize || len(e.Chain) == 0 || e.Origin != origin(by.cluster, would) {
		return false
	}
	if !broken("binding-not-checked") {
		der, err := b64.DecodeString(e.Chain[0])
		held, known := p.issued[string(der)]
		if err != nil || !known || held.cluster != by.cluster || held.agent.epoch != would.epoch {
			return false
		}
		leaf, err := x509.ParseCertificate(der)
		must(err)
		var text string
		if json.Unmarshal(e.Signature, &text) != nil {
			return false
		}
		signature, err := b64url.DecodeString(text)
		digest := sum(canonical(map[string]interface{}{"from": from, "key": key, "origin": e.Origin}))
		if err != nil || len(signature) != 64 || !ecdsa.Verify(leaf.PublicKey.(*ecdsa.PublicKey), digest[:],
			new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
			return false
		}
	}
	would.keys = append(would.keys, logKey{append([]byte{}, public...), from})
	return true
}

// became says what an entry makes of the command that it names, or of what the policy shares.
func (p *plane) became(c *cluster, a *agent, e entry) {
	if e.Kind == "policy" {
		a.inForce(e)
	}
	for _, one := range c.sent {
		if one.epoch != a.epoch || (one.id != e.Command && !(e.Kind == "rejected" && one.digest == e.Digest)) {
			continue
		}
		switch e.Kind {
		case "intent", "waiting", "considered", "refused", "cancelled":
			one.state = e.Kind
			if e.Kind == "refused" && e.Code == "verify.cancelled" {
				one.state = "cancelled"
			}
		case "rejected":
			one.state = "refused"
		case "outcome":
			one.state = e.Result
		default:
			continue
		}
		one.named = true
		one.code = nil
		if e.Code != "" {
			one.code = text(e.Code)
		}
	}
}
