// A control plane written from docs/PROTOCOL.md alone, in Go's standard library alone. It shows that the page is enough, and is what
// `reeve-control conform` is tried on beside the reference. It keeps everything in memory, so it is nobody's control plane:
// what must be durable before an answer is only in a map here.
//
//	tiny serve -admin SOCKET [-break NAME]   prints {"enrol":URL,"agents":URL} and serves
//	tiny drive SOCKET WORDS…                 the driver of docs/CONFORMANCE.md
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
)

const trustDomain = "tiny.example"

func main() {
	if len(os.Args) > 2 && os.Args[1] == "drive" {
		drive(os.Args[2], os.Args[3:])
		return
	}
	if len(os.Args) < 2 || os.Args[1] != "serve" {
		fmt.Fprintln(os.Stderr, "usage: tiny serve -admin SOCKET [-break NAME] | tiny drive SOCKET WORDS…")
		os.Exit(2)
	}
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	admin := flags.String("admin", "", "unix socket that the driver speaks to")
	fault := flags.String("break", "", "a deliberate mistake")
	_ = flags.Parse(os.Args[2:])
	if *fault != "" && !mistakes[*fault] {
		fmt.Fprintf(os.Stderr, "no such mistake: %s\n", *fault)
		os.Exit(2)
	}
	mistake = *fault
	p := newPlane()
	enrol, agents := listen(), listen()
	p.enrolURL = "https://" + enrol.Addr().String()
	p.agentsURL = "https://" + agents.Addr().String()
	go p.serveEnrolment(enrol)
	go p.serveAgents(agents)
	socket, err := net.Listen("unix", *admin)
	must(err)
	said, _ := json.Marshal(map[string]string{"enrol": p.enrolURL, "agents": p.agentsURL})
	fmt.Println(string(said))
	go p.serveAdmin(socket)
	// Ends with whoever started it.
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	return l
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
