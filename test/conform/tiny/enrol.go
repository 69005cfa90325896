package main

import (
	"crypto/ecdsa"
	"encoding/json"
	"net/http"
	"regexp"
	"time"
)

func (p *plane) nonce(w http.ResponseWriter, _ *http.Request) {
	nonce := randomText(32)
	p.mu.Lock()
	p.nonces[nonce] = nonceMade{time.Now(), p.next()}
	p.mu.Unlock()
	answer(w, 200, map[string]string{"nonce": nonce, "trust_domain": trustDomain})
}

// nonceMade is when, by the clock and by the plane's count.
type nonceMade struct {
	at    time.Time
	count int
}

// takeNonce burns it and says when it was made; false when it is none of ours, was used, or is too old. With the lock held.
func (p *plane) takeNonce(nonce string) (int, bool) {
	made, there := p.nonces[nonce]
	delete(p.nonces, nonce)
	return made.count, there && time.Since(made.at) <= 60*time.Second
}

type enrolRequest struct {
	Token *string         `json:"token"`
	Proof json.RawMessage `json:"proof"`
	Nonce *string         `json:"nonce"`
	CSR   string          `json:"csr"`
}

type tokenClaims struct {
	Aud string `json:"aud"`
	Exp int64  `json:"exp"`
	Iat int64  `json:"iat"`
	Iss string `json:"iss"`
	Jti string `json:"jti"`
	Sha string `json:"sha"`
	Sub string `json:"sub"`
	URL string `json:"url"`
}

const tokenHeader = `{"alg":"Ed25519","typ":"reeve-join+jwt"}`

var clusterName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

func (p *plane) token(name string, lifetime int64) string {
	now := time.Now().Unix()
	// What is asked for that has expired already was made a minute before that.
	iat := now
	if lifetime <= 0 {
		iat = now + lifetime - 60
	}
	claims := map[string]interface{}{
		"iss": trustDomain, "aud": "reeve-enrol", "sub": name, "jti": randomText(16), "iat": iat, "exp": now + lifetime,
		"url": p.enrolURL, "sha": p.ca.sha(),
	}
	return p.tokenKey.sign(tokenHeader, canonical(claims))
}

func (p *plane) enroll(w http.ResponseWriter, r *http.Request) {
	var asked enrolRequest
	if f := body(w, r, &asked); f != nil {
		say(w, f)
		return
	}
	hasProof := string(asked.Proof) != "null"
	if hasProof != (asked.Nonce != nil) || (asked.Token == nil && !hasProof) {
		say(w, &fault{code: "malformed"})
		return
	}
	// Nobody is admitted here, so a proof is not looked at.
	if asked.Token == nil {
		say(w, &fault{code: "token-invalid"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	said, f := p.enrolled(*asked.Token, asked.CSR)
	if f != nil {
		say(w, f)
		return
	}
	answer(w, 200, said)
}

func (p *plane) enrolled(token, csr string) (map[string]interface{}, *fault) {
	payload, ok := p.tokenKey.opened(token, tokenHeader)
	var claims tokenClaims
	if !ok || json.Unmarshal(payload, &claims) != nil || claims.Iss != trustDomain || claims.Aud != "reeve-enrol" || !clusterName.MatchString(claims.Sub) {
		return nil, &fault{code: "token-invalid"}
	}
	if claims.Exp <= time.Now().Unix() && !broken("expired-token-taken") {
		return nil, &fault{code: "token-expired"}
	}
	key, spki, ok := readCSR(csr, agentID(claims.Sub))
	if !ok {
		return nil, &fault{code: "csr-invalid"}
	}
	if before, used := p.burnt[claims.Jti]; used && !broken("token-not-burnt") {
		if before.spki == string(spki) && !before.cert.used {
			return before.answer, nil
		}
		if before.spki == string(spki) || broken("theft-unnoticed") {
			return nil, &fault{code: "token-burnt"}
		}
		return nil, &fault{code: "token-theft"}
	}
	c := p.cluster(claims.Sub)
	if c.keys[string(spki)] {
		return nil, &fault{code: "key-used"}
	}
	if !broken("epoch-stays") || c.epoch == 0 {
		c.epoch++
	}
	p.takeOver(c, c.epoch)
	a := &agent{epoch: c.epoch, enrolled: time.Now().Unix(), processes: map[string]int{}, heard: map[string]bool{}}
	a.current = p.issue(c, a, key, spki, csr)
	c.agents[c.epoch] = a
	said := map[string]interface{}{
		"chain": chain(a.current.der, p), "trust": c.trust, "epoch": c.epoch, "enrolled_at": a.enrolled, "agents_url": p.agentsURL,
	}
	p.burnt[claims.Jti] = &burnt{string(spki), a.current, said}
	return said, nil
}

// takeOver has this epoch act, and says what became of the commands of the one before.
func (p *plane) takeOver(c *cluster, epoch int) {
	c.acting = epoch
	for _, command := range c.sent {
		if command.epoch == epoch {
			continue
		}
		switch command.state {
		case "queued":
			command.state, command.code = "expired", text("epoch")
		case "handed-out", "waiting", "intent":
			command.state, command.code = "unknown", text("epoch")
		}
	}
	p.wake()
}

func (p *plane) issue(c *cluster, a *agent, key *ecdsa.PublicKey, spki []byte, csr string) *certificate {
	made := &certificate{cluster: c, agent: a, der: p.ca.agent(agentID(c.name), key), spki: string(spki), csr: csr}
	p.issued[string(made.der)] = made
	c.keys[string(spki)] = true
	return made
}

func chain(leaf []byte, p *plane) []string {
	return []string{b64.EncodeToString(leaf), b64.EncodeToString(p.ca.cert.Raw)}
}
