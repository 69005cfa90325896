package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
)

const maxGroups = 64
const manifestsPath = "/v1/manifests/"

var digestForm = regexp.MustCompile("^sha256:[0-9a-f]{64}$")

// group is what an agent says of one. A field that is not there stays nil; image may be null.
type group struct {
	Group   *string         `json:"group"`
	Image   json.RawMessage `json:"image"`
	Count   *int            `json:"count"`
	Healthy *int            `json:"healthy"`
}

func (g group) whole() bool {
	var image *string
	return g.Group != nil && g.Image != nil && json.Unmarshal(g.Image, &image) == nil &&
		g.Count != nil && *g.Count >= 0 && g.Healthy != nil && *g.Healthy >= 0
}

type inventoryRequest struct {
	Kind   string  `json:"kind"`
	Policy string  `json:"policy"`
	Groups []group `json:"groups"`
}

// shared takes inventories; policies it does not know.
func (p *plane) shared(w http.ResponseWriter, r *http.Request) {
	// What cannot be read to its end is no JSON, which `body` says.
	data, _ := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var of struct {
		Kind string `json:"kind"`
	}
	policies := json.Unmarshal(data, &of) == nil && of.Kind == "policy"
	r.Body = io.NopCloser(bytes.NewReader(data))
	var asked inventoryRequest
	f := body(w, r, &asked)
	p.mu.Lock()
	defer p.mu.Unlock()
	by, no := p.caller(r)
	switch {
	case no != nil:
		f = no
	case policies:
		f = &fault{code: "not-found"}
	case f == nil:
		f = by.agent.share(asked)
	}
	if f != nil {
		say(w, f)
		return
	}
	answer(w, 200, map[string]string{})
}

func (a *agent) share(asked inventoryRequest) *fault {
	if asked.Kind != "inventory" || !digestForm.MatchString(asked.Policy) || len(asked.Groups) > maxGroups {
		return &fault{code: "malformed"}
	}
	for _, one := range asked.Groups {
		if !one.whole() {
			return &fault{code: "malformed"}
		}
	}
	if asked.Policy == a.policy || broken("inventory-of-any-policy") {
		a.groups = asked.Groups
	} else if asked.Groups != nil {
		return &fault{code: "conflict"}
	}
	return nil
}

// inForce says which policy is, and forgets what another one shared.
func (a *agent) inForce(e entry) {
	policy := e.Policy
	if e.Code != "" {
		policy = ""
	}
	if policy != a.policy {
		a.groups = nil
	}
	a.policy = policy
}

// keepManifest is the driver's word: a signed note, whose text is one line.
func (p *plane) keepManifest(name, input string) (int, interface{}) {
	var asked struct {
		Note string `json:"note"`
	}
	if json.Unmarshal([]byte(input), &asked) != nil {
		return 1, "no JSON"
	}
	line, _, there := strings.Cut(asked.Note, "\n")
	if !there {
		return 1, "no note"
	}
	p.cluster(name).manifests[hexSum([]byte(line))] = asked.Note
	return 0, map[string]string{}
}

// manifest hands out one of the asking agent's own cluster.
func (p *plane) manifest(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	by, f := p.caller(r)
	if f != nil {
		say(w, f)
		return
	}
	hex := strings.TrimPrefix(r.URL.Path, manifestsPath)
	note, there := by.cluster.manifests[hex]
	for _, other := range p.clusters {
		if broken("others-manifest") && !there {
			note, there = other.manifests[hex]
		}
	}
	if !there {
		say(w, &fault{code: "not-found"})
		return
	}
	answer(w, 200, map[string]string{"note": note})
}
