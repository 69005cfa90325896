package main

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

type adminAsk struct {
	Words []string `json:"words"`
	Input string   `json:"input"`
}

// drive is the driver: it passes its words on, prints the answer's line, and exits with 0, 1 (cannot) or 3 (does not do this).
func drive(socket string, words []string) {
	input := ""
	if len(words) > 0 && (words[0] == "send" || words[0] == "manifest") {
		data, err := io.ReadAll(os.Stdin)
		must(err)
		input = string(data)
	}
	conn, err := net.Dial("unix", socket)
	must(err)
	must(json.NewEncoder(conn).Encode(adminAsk{words, input}))
	var said struct {
		Exit   int             `json:"exit"`
		Answer json.RawMessage `json:"answer"`
	}
	must(json.NewDecoder(conn).Decode(&said))
	if said.Exit != 0 {
		fmt.Fprintln(os.Stderr, string(said.Answer))
		os.Exit(said.Exit)
	}
	fmt.Println(string(said.Answer))
}

func (p *plane) serveAdmin(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			var ask adminAsk
			if json.NewDecoder(conn).Decode(&ask) != nil {
				return
			}
			exit, answer := p.drove(ask)
			_ = json.NewEncoder(conn).Encode(map[string]interface{}{"exit": exit, "answer": answer})
		}()
	}
}

func (p *plane) drove(ask adminAsk) (int, interface{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	word := func(i int) string {
		if i < len(ask.Words) {
			return ask.Words[i]
		}
		return ""
	}
	switch word(0) {
	case "pin":
		return 0, map[string]string{"trust_sha256": p.cmdKey.thumbprint()}
	case "token":
		lifetime, err := strconv.ParseInt(word(2), 10, 64)
		if err != nil {
			return 1, "a lifetime in seconds"
		}
		return 0, map[string]string{"token": p.token(word(1), lifetime)}
	case "send":
		return p.send(word(1), ask.Input)
	case "state", "cancel":
		one := p.command(word(1))
		if one == nil {
			return 1, "no such command"
		}
		if word(0) == "state" {
			if one.state == "queued" && one.exp <= time.Now().Unix() {
				one.state = "expired"
			}
			return 0, map[string]interface{}{"state": one.state, "code": one.code}
		}
		one.cancel = true
		if one.state == "queued" {
			one.state = "cancelled"
		}
		p.wake()
		return 0, map[string]string{}
	case "rotate":
		c := p.cluster(word(1))
		c.extra = append(c.extra, newSigner(fmt.Sprintf("cmd-%d", len(c.trust)+1)))
		p.state(c)
		p.wake()
		return 0, map[string]int{"version": len(c.trust)}
	case "unfence":
		epoch, err := strconv.Atoi(word(2))
		c := p.cluster(word(1))
		if err != nil || c.agents[epoch] == nil {
			return 1, "no such epoch"
		}
		c.agents[epoch].fenced = false
		p.takeOver(c, epoch)
		return 0, map[string]string{}
	case "manifest":
		return p.keepManifest(word(1), ask.Input)
	}
	return 3, "not a word that this driver knows"
}

func (p *plane) command(id string) *command {
	for _, c := range p.clusters {
		for _, one := range c.sent {
			if one.id == id {
				return one
			}
		}
	}
	return nil
}

// wish is what conform asks for; whom, when and by whose key is said here.
type wish struct {
	Action  string                 `json:"action"`
	Args    map[string]interface{} `json:"args"`
	Seconds int64                  `json:"seconds"`
	DryRun  bool                   `json:"dry_run"`
}

func (p *plane) send(name, input string) (int, interface{}) {
	decoder := json.NewDecoder(strings.NewReader(input))
	decoder.UseNumber()
	var asked wish
	c := p.cluster(name)
	if decoder.Decode(&asked) != nil || c.acting == 0 {
		return 1, "nothing that could be sent"
	}
	now := time.Now().Unix()
	one := &command{id: p.uuidv7(), epoch: c.acting, exp: now + asked.Seconds, state: "queued", trust: 1}
	one.jws = p.cmdKey.sign(`{"alg":"Ed25519","kid":"`+p.cmdKey.kid+`","typ":"reeve-command+jwt"}`, canonical(map[string]interface{}{
		"iss": trustDomain, "aud": agentID(name), "jti": one.id, "iat": now, "exp": one.exp, "epoch": one.epoch,
		"by": "tiny", "why": "conform", "dry_run": asked.DryRun, "action": asked.Action, "args": asked.Args,
	}))
	one.digest = "sha256:" + hexSum([]byte(one.jws))
	one.resource = asked.Action
	for _, what := range []string{"group", "authority", "zone", "name"} {
		one.resource += fmt.Sprintf(" %v", asked.Args[what])
	}
	c.sent = append(c.sent, one)
	p.wake()
	return 0, map[string]string{"id": one.id}
}

// uuidv7 is RFC 9562's; ids rise in the order in which they are made, within a millisecond too.
func (p *plane) uuidv7() string {
	data := make([]byte, 16)
	_, err := rand.Read(data)
	must(err)
	binary.BigEndian.PutUint64(data[:8], uint64(time.Now().UnixMilli())<<16|0x7000|uint64(p.next()&0xfff))
	data[8] = data[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", data[:4], data[4:6], data[6:8], data[8:10], data[10:])
}
