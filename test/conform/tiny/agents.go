package main

import (
	"net/http"
	"time"
)

// caller says whose certificate this is; a pending one becomes current by its first use. With the lock held.
func (p *plane) caller(r *http.Request) (*certificate, *fault) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, &fault{code: "certificate", ends: true}
	}
	held, known := p.issued[string(r.TLS.PeerCertificates[0].Raw)]
	if !known && broken("foreign-client") {
		if name, ok := clusterOf(r.TLS.PeerCertificates[0].URIs[0].String()); ok {
			c := p.cluster(name)
			return c.agents[c.acting].current, nil
		}
	}
	if !known || time.Now().After(r.TLS.PeerCertificates[0].NotAfter) {
		return nil, &fault{code: "certificate", ends: true}
	}
	c, a := held.cluster, held.agent
	if a.fenced || a.epoch != c.acting {
		return nil, &fault{code: "fenced"}
	}
	if held.replaced > 0 && !broken("older-certificate-served") {
		if accepted(r) > held.replaced {
			return nil, p.fence(a)
		}
		return nil, &fault{code: "certificate", ends: true}
	}
	p.firstUse(held)
	return held, nil
}

// firstUse of a pending certificate makes it current, and the older one is refused from then on.
func (p *plane) firstUse(held *certificate) {
	if a := held.agent; held == a.pending {
		a.current.replaced = p.next()
		a.current, a.pending = held, nil
		p.wake()
	}
	held.used = true
}

type renewRequest struct {
	CSR string `json:"csr"`
}

func (p *plane) renew(w http.ResponseWriter, r *http.Request) {
	var asked renewRequest
	f := body(w, r, &asked)
	p.mu.Lock()
	defer p.mu.Unlock()
	by, no := p.caller(r)
	if no != nil {
		f = no
	}
	if f != nil {
		say(w, f)
		return
	}
	said, f := p.renewed(by, asked.CSR)
	if f != nil {
		say(w, f)
		return
	}
	answer(w, 200, said)
}

type pollRequest struct {
	Process    string `json:"process"`
	Epoch      int    `json:"epoch"`
	Checkpoint string `json:"checkpoint"`
	Trust      int    `json:"trust_version"`
	Version    string `json:"version"`
	State      string `json:"state"`
	Reason     string `json:"reason"`
	Take       int    `json:"take"`
	Hold       int    `json:"hold"`
}

type pollAnswer struct {
	Commands []string `json:"commands"`
	Cancel   []string `json:"cancel"`
	Trust    []string `json:"trust"`
}

func (p *plane) poll(w http.ResponseWriter, r *http.Request) {
	var asked pollRequest
	f := body(w, r, &asked)
	p.mu.Lock()
	defer p.mu.Unlock()
	by, no := p.caller(r)
	if no == nil && f == nil {
		f = p.polled(by, asked, r)
	}
	if no != nil {
		f = no
	}
	if f != nil {
		say(w, f)
		return
	}
	// No longer than an agent would wait, whatever it asks for.
	hold := time.Duration(asked.Hold) * time.Second
	if broken("hold-ignored") {
		hold = 0
	}
	until := time.After(hold)
	for {
		said := p.words(by, asked)
		if p.news(by.agent, asked, said) || asked.Hold == 0 || broken("hold-ignored") {
			p.tell(by.agent, asked, said)
			answer(w, 200, said)
			return
		}
		changed := p.changed
		p.mu.Unlock()
		ended := false
		select {
		case <-changed:
		case <-until:
			ended = true
		case <-r.Context().Done():
			p.mu.Lock()
			return
		}
		p.mu.Lock()
		if f := p.still(by, asked); f != nil {
			say(w, f)
			return
		}
		if ended {
			asked.Hold = 0
		}
	}
}

// polled holds a poll to what was seen of this agent.
func (p *plane) polled(by *certificate, asked pollRequest, r *http.Request) *fault {
	a := by.agent
	if asked.Epoch != a.epoch || asked.Take < 0 || asked.Take > 16 || asked.Hold < 0 || asked.Hold > 60 {
		return &fault{code: "malformed"}
	}
	if asked.State != "ready" && asked.State != "suspended" && asked.State != "refusing" {
		return &fault{code: "malformed"}
	}
	replaced, older := a.processes[asked.Process]
	if older {
		if accepted(r) > replaced {
			return p.fence(a)
		}
		return &fault{code: "unavailable", ends: true}
	}
	h, f := p.seen(by, asked.Checkpoint, accepted(r))
	if f != nil {
		return f
	}
	if asked.Process != a.process {
		if h.size < a.longest && !broken("shorter-taken") {
			return &fault{code: "unavailable", ends: true}
		}
		if a.process != "" {
			a.processes[a.process] = p.next()
		}
		a.process = asked.Process
		a.heard = map[string]bool{}
		p.wake()
	}
	return nil
}

// still says whether a held poll may go on being held.
func (p *plane) still(by *certificate, asked pollRequest) *fault {
	a := by.agent
	if a.fenced || a.epoch != by.cluster.acting {
		return &fault{code: "fenced"}
	}
	if by.replaced > 0 {
		return &fault{code: "certificate", ends: true}
	}
	if a.process != asked.Process {
		return &fault{code: "unavailable", ends: true}
	}
	return nil
}
