package main

import (
	"crypto/ecdsa"
	"crypto/x509"
	"math/big"
	"net/http"
	"time"
)

type graceRequest struct {
	CSR       string   `json:"csr"`
	Chain     []string `json:"chain"`
	Nonce     string   `json:"nonce"`
	Signature string   `json:"signature"`
}

func (p *plane) graceRenew(w http.ResponseWriter, r *http.Request) {
	var asked graceRequest
	if f := body(w, r, &asked); f != nil {
		say(w, f)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	said, f := p.graceRenewed(asked)
	if f != nil {
		say(w, f)
		return
	}
	answer(w, 200, said)
}

func (p *plane) graceRenewed(asked graceRequest) (interface{}, *fault) {
	if len(asked.Chain) == 0 {
		return nil, &fault{code: "malformed"}
	}
	der, err := b64.DecodeString(asked.Chain[0])
	held, known := p.issued[string(der)]
	if err != nil || !known {
		return nil, &fault{code: "certificate"}
	}
	leaf, err := x509.ParseCertificate(der)
	must(err)
	signature, err := b64url.DecodeString(asked.Signature)
	digest := sum([]byte("reeve-renew\n" + asked.Nonce + "\n" + asked.CSR))
	if err != nil || len(signature) != 64 ||
		!ecdsa.Verify(leaf.PublicKey.(*ecdsa.PublicKey), digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return nil, &fault{code: "certificate"}
	}
	made, fresh := p.takeNonce(asked.Nonce)
	if !fresh {
		return nil, &fault{code: "malformed"}
	}
	c, a := held.cluster, held.agent
	if a.fenced || a.epoch != c.acting {
		return nil, &fault{code: "fenced"}
	}
	if held.replaced > 0 {
		if made > held.replaced {
			return nil, p.fence(a)
		}
		return nil, &fault{code: "certificate"}
	}
	if time.Since(leaf.NotAfter) > 7*24*time.Hour {
		return nil, &fault{code: "expired"}
	}
	p.firstUse(held)
	return p.renewed(held, asked.CSR)
}

// renewed puts a new certificate into the second slot.
func (p *plane) renewed(by *certificate, csr string) (interface{}, *fault) {
	c, a := by.cluster, by.agent
	if a.pending != nil && a.pending.csr == csr {
		return map[string]interface{}{"chain": chain(a.pending.der, p)}, nil
	}
	key, spki, ok := readCSR(csr, agentID(c.name))
	if !ok || (c.keys[string(spki)] && !broken("same-key-renewed")) {
		return nil, &fault{code: "csr-invalid"}
	}
	if a.pending != nil {
		a.pending.replaced = p.next()
	}
	a.pending = p.issue(c, a, key, spki, csr)
	return map[string]interface{}{"chain": chain(a.pending.der, p)}, nil
}
