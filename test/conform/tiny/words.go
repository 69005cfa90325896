package main

import (
	"sort"
	"time"
)

// words is what there is to say now; nothing is handed out yet.
func (p *plane) words(by *certificate, asked pollRequest) pollAnswer {
	c, a := by.cluster, by.agent
	said := pollAnswer{[]string{}, []string{}, []string{}}
	if asked.Trust >= 0 && asked.Trust < len(c.trust) {
		said.Trust = c.trust[asked.Trust:]
		if len(said.Trust) > 8 {
			said.Trust = said.Trust[:8]
		}
	}
	for _, one := range c.sent {
		if one.cancel && one.epoch == a.epoch && (one.state == "handed-out" || one.state == "waiting") && !broken("cancel-forgotten") {
			said.Cancel = append(said.Cancel, one.id)
		}
	}
	if len(a.lines) == 0 && !broken("before-entry-0") {
		return said
	}
	for _, one := range p.ready(c, a, asked, asked.Trust+len(said.Trust)) {
		said.Commands = append(said.Commands, one.jws)
	}
	return said
}

// ready is the commands that would leave now, one a resource, in the order of their ids.
func (p *plane) ready(c *cluster, a *agent, asked pollRequest, knows int) []*command {
	take := asked.Take
	if broken("take-ignored") {
		take = 16
	}
	busy := map[string]*command{}
	var ready []*command
	sort.SliceStable(c.sent, func(i, j int) bool { return c.sent[i].id < c.sent[j].id })
	for _, one := range c.sent {
		if one.epoch == a.epoch && (one.state == "handed-out" || one.state == "intent") {
			busy[one.resource] = one
		}
	}
	for _, one := range c.sent {
		if one.epoch != a.epoch || (one.state != "queued" && (one.state != "handed-out" || one.named)) {
			continue
		}
		if one.exp <= time.Now().Unix() {
			one.state = "expired"
			continue
		}
		if first := busy[one.resource]; (first != nil && first != one && !broken("two-a-resource")) || one.trust > knows {
			continue
		}
		busy[one.resource] = one
		if one.cancel || !again(one, asked.Process) || len(ready) >= take {
			continue
		}
		ready = append(ready, one)
	}
	return ready
}

// again says whether a command may be handed to this process (again).
func again(one *command, process string) bool {
	if one.state == "queued" || broken("handed-out-twice") {
		return true
	}
	if broken("not-handed-out-again") {
		return false
	}
	return one.process != process || time.Since(one.given) >= 30*time.Second
}

// news says whether an answer holds a word that this process has not heard.
func (p *plane) news(a *agent, asked pollRequest, said pollAnswer) bool {
	for _, word := range append(append([]string{}, said.Cancel...), said.Trust...) {
		if !a.heard[word] {
			return true
		}
	}
	return len(said.Commands) > 0
}

func (p *plane) tell(a *agent, asked pollRequest, said pollAnswer) {
	for _, word := range append(append([]string{}, said.Cancel...), said.Trust...) {
		a.heard[word] = true
	}
	for _, jws := range said.Commands {
		for _, c := range p.clusters {
			for _, one := range c.sent {
				if one.jws == jws {
					one.state, one.process, one.given = "handed-out", asked.Process, time.Now()
				}
			}
		}
	}
}
