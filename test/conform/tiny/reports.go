package main

import (
	"encoding/json"
	"net/http"
)

// seen judges a head, from a poll or a report, before its connection's own count. With the lock held.
func (p *plane) seen(by *certificate, note string, accepted int) (head, *fault) {
	a := by.agent
	name := origin(by.cluster, a)
	h, ok := readHead(note, name)
	if !ok {
		return h, &fault{code: "malformed"}
	}
	if len(a.keys) > 0 && judge(h, name, a.keys, len(a.lines)) == forged {
		return h, &fault{code: "malformed"}
	}
	if h.size < a.longest && accepted > a.longestAt && !broken("shorter-taken") {
		return h, p.fence(a)
	}
	if contradicts(a, h) {
		return h, p.fence(a)
	}
	p.keep(a, h)
	return h, nil
}

func (p *plane) keep(a *agent, h head) {
	if h.size > a.longest {
		a.longest, a.longestAt = h.size, p.next()
	}
	if h.size > len(a.lines) && len(a.held) < 64 {
		a.held = append(a.held, h)
	}
}

// contradicts: the entries that are here come to another root than this head says.
func contradicts(a *agent, h head) bool {
	return h.size <= len(a.lines) && rootOf(a.leaves[:h.size]) != h.root && !broken("root-not-compared")
}

type reportRequest struct {
	From       int             `json:"from"`
	Entries    []string        `json:"entries"`
	Checkpoint string          `json:"checkpoint"`
	Proofs     json.RawMessage `json:"proofs"`
}

func (p *plane) report(w http.ResponseWriter, r *http.Request) {
	var asked reportRequest
	f := body(w, r, &asked)
	p.mu.Lock()
	defer p.mu.Unlock()
	by, no := p.caller(r)
	if no == nil && f == nil {
		f = p.reported(by, asked, accepted(r))
	}
	if no != nil {
		f = no
	}
	if f != nil {
		say(w, f)
		return
	}
	answer(w, 200, map[string]int{"next": len(by.agent.lines)})
}

func (p *plane) reported(by *certificate, asked reportRequest, accepted int) *fault {
	a := by.agent
	if len(asked.Entries) > 200 || asked.From < 0 || string(asked.Proofs) != "null" {
		return &fault{code: "malformed"}
	}
	if asked.From > len(a.lines) && len(asked.Entries) > 0 && !broken("gap-taken") {
		// Not what is wanted next: the answer says what is.
		return nil
	}
	for i, line := range asked.Entries {
		if at := asked.From + i; at < len(a.lines) && a.lines[at] != line && !broken("changed-entry-taken") {
			return p.fence(a)
		}
	}
	// A copy of what would be, thrown away unless all of it holds.
	would := *a
	would.lines = append([]string{}, a.lines...)
	would.leaves = append([][32]byte{}, a.leaves...)
	would.keys = append([]logKey{}, a.keys...)
	var named []entry
	for i, line := range asked.Entries {
		at := asked.From + i
		if at < len(would.lines) {
			continue
		}
		e, ok := p.readEntry(by, &would, line, at)
		if !ok {
			if broken("half-a-report") {
				a.lines, a.leaves, a.keys = would.lines, would.leaves, would.keys
			}
			return &fault{code: "malformed"}
		}
		named = append(named, e)
		would.lines = append(would.lines, line)
		would.leaves = append(would.leaves, leafHash(line))
	}
	h, ok := readHead(asked.Checkpoint, origin(by.cluster, a))
	if !ok || h.size < asked.From+len(asked.Entries) && len(asked.Entries) > 0 {
		return &fault{code: "malformed"}
	}
	if len(would.keys) > 0 && judge(h, origin(by.cluster, a), would.keys, len(would.lines)) == forged {
		return &fault{code: "malformed"}
	}
	if contradicts(&would, h) {
		return p.fence(a)
	}
	if _, f := p.seen(&certificate{cluster: by.cluster, agent: &would}, asked.Checkpoint, accepted); f != nil {
		if would.fenced {
			return p.fence(a)
		}
		return f
	}
	for _, held := range would.held {
		if len(would.keys) > 0 && judge(held, origin(by.cluster, a), would.keys, len(would.lines)) != forged && contradicts(&would, held) {
			return p.fence(a)
		}
	}
	*a = would
	for _, e := range named {
		p.became(by.cluster, a, e)
	}
	p.wake()
	return nil
}
