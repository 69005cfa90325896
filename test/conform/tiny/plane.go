package main

import (
	"io"
	"log"
	"strconv"
	"sync"
	"time"
)

var quiet = log.New(io.Discard, "", 0)

// certificate is one that was issued, with the request that it answers.
type certificate struct {
	cluster *cluster
	agent   *agent
	der     []byte
	spki    string
	csr     string
	used    bool
	// replaced: the count at which a newer one took its place; 0 while it is current or pending.
	replaced int
}

// agent is one enrolment of a cluster: an epoch.
type agent struct {
	epoch     int
	fenced    bool
	enrolled  int64
	current   *certificate
	pending   *certificate
	process   string
	processes map[string]int
	lines     []string
	leaves    [][32]byte
	keys      []logKey
	// longest head that was seen, and the count when; heads beyond the entries are held until these come.
	longest   int
	longestAt int
	held      []head
	// policy is the digest of the one in force, as the newest entry names it; "" for none. groups is what it shares; nil for nothing.
	policy string
	groups []group
	// heard is what a process was told, so that it ends no held poll again.
	heard map[string]bool
}

type command struct {
	id       string
	jws      string
	resource string
	epoch    int
	exp      int64
	state    string
	code     *string
	process  string
	given    time.Time
	// named: an entry names it. cancel: the vendor took it back. trust: the first statement that names its key.
	named  bool
	cancel bool
	trust  int
	digest string
}

type cluster struct {
	name   string
	epoch  int
	acting int
	agents map[int]*agent
	keys   map[string]bool
	trust  []string
	extra  []*signer
	sent   []*command
	// manifests are signed notes, by the SHA-256 of their line in hex.
	manifests map[string]string
}

// burnt is a token that was used.
type burnt struct {
	spki   string
	cert   *certificate
	answer map[string]interface{}
}

type plane struct {
	mu        sync.Mutex
	count     int
	ca        *authority
	tokenKey  *signer
	cmdKey    *signer
	enrolURL  string
	agentsURL string
	nonces    map[string]nonceMade
	burnt     map[string]*burnt
	issued    map[string]*certificate
	clusters  map[string]*cluster
	changed   chan struct{}
}

func newPlane() *plane {
	return &plane{
		ca: newAuthority(), tokenKey: newSigner("token"), cmdKey: newSigner("cmd-1"), count: 1,
		nonces: map[string]nonceMade{}, burnt: map[string]*burnt{}, issued: map[string]*certificate{},
		clusters: map[string]*cluster{}, changed: make(chan struct{}),
	}
}

// tick counts one more thing that happened: what came before and what after is told by it, not by a clock.
func (p *plane) tick() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next()
}

func (p *plane) next() int {
	p.count++
	return p.count
}

// wake has held polls look again. With the lock held.
func (p *plane) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// cluster's state, made with its first trust statement. With the lock held.
func (p *plane) cluster(name string) *cluster {
	c, there := p.clusters[name]
	if !there {
		c = &cluster{name: name, agents: map[int]*agent{}, keys: map[string]bool{}, manifests: map[string]string{}}
		p.clusters[name] = c
		p.state(c)
	}
	return c
}

// state signs the cluster's next trust statement: the root, and all command keys.
func (p *plane) state(c *cluster) {
	keys := []map[string]string{{"kid": p.cmdKey.kid, "x": p.cmdKey.x()}}
	for _, key := range c.extra {
		keys = append(keys, map[string]string{"kid": key.kid, "x": key.x()})
	}
	claims := map[string]interface{}{
		"iss": trustDomain, "aud": c.name, "version": len(c.trust) + 1, "iat": time.Now().Unix(),
		"roots": []string{b64.EncodeToString(p.ca.cert.Raw)}, "command_keys": keys, "witness_keys": []string{},
	}
	header := `{"alg":"Ed25519","jwk":{"crv":"Ed25519","kty":"OKP","x":"` + p.cmdKey.x() + `"},"typ":"reeve-trust+jwt"}`
	c.trust = append(c.trust, p.cmdKey.sign(header, canonical(claims)))
}

// fence ends an epoch for good.
func (p *plane) fence(a *agent) *fault {
	if broken("copy-unnoticed") {
		return &fault{code: "unavailable", ends: true}
	}
	a.fenced = true
	p.wake()
	return &fault{code: "fenced"}
}

func origin(c *cluster, a *agent) string {
	return agentID(c.name) + "/epoch/" + strconv.Itoa(a.epoch)
}

func text(value string) *string { return &value }
