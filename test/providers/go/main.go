// A server of Go's own net/http, for the client of providers/transport.ts. Arguments: certificate, key,
// newest TLS (empty: any), address; without the first three plain.
// Prints its address, then one line of JSON a request: what it took the request for.
package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

type seen struct {
	Method, Path, Host, Proto, Body, Name string
	Header                                http.Header
	Length                                int64
	Close                                 bool
	TLS                                   uint16
	Remote, Protocol                      string
}

func note(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		log.Fatal(err)
	}
	s := seen{Method: r.Method, Path: r.RequestURI, Host: r.Host, Proto: r.Proto, Body: string(body), Header: r.Header,
		Length: r.ContentLength, Close: r.Close, Remote: r.RemoteAddr}
	if r.TLS != nil {
		s.TLS, s.Name, s.Protocol = r.TLS.Version, r.TLS.ServerName, r.TLS.NegotiatedProtocol
	}
	line, err := json.Marshal(s)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
}

func handle(w http.ResponseWriter, r *http.Request) {
	note(r)
	flusher := w.(http.Flusher)
	switch strings.Split(r.URL.Path, "/")[1] {
	case "plain":
		w.Header().Set("X-Amzn-RequestId", "r1")
		io.WriteString(w, "abc")
	case "chunks":
		w.Header().Set("Trailer", "X-End")
		for n := 0; n < 50; n++ {
			fmt.Fprintf(w, "%d\n", n)
			flusher.Flush()
		}
		w.Header().Set("X-End", "yes")
	case "hints":
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "abc")
	case "nothing":
		w.WriteHeader(http.StatusNoContent)
	case "error":
		http.Error(w, "no", http.StatusServiceUnavailable)
	case "elsewhere":
		http.Redirect(w, r, "/plain", http.StatusTemporaryRedirect)
	case "large":
		for n := 0; n < 1024; n++ {
			io.WriteString(w, strings.Repeat("x", 1024))
		}
	case "cut":
		io.WriteString(w, "abc")
		flusher.Flush()
		panic(http.ErrAbortHandler)
	case "open":
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			log.Fatal(err)
		}
		// Until the connection ends: the server's own answer has no length.
		fmt.Fprint(connection, "HTTP/1.1 200 OK\r\n\r\nabc")
		connection.Close()
	case "silent":
		<-r.Context().Done()
	}
}

func main() {
	address := os.Args[len(os.Args)-1]
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	if len(os.Args) == 5 {
		pair, err := tls.LoadX509KeyPair(os.Args[1], os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"},
			MinVersion: tls.VersionTLS10, MaxVersion: map[string]uint16{"1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12}[os.Args[3]]})
	}
	fmt.Println(listener.Addr().String())
	server := &http.Server{Handler: http.HandlerFunc(handle), ErrorLog: log.New(io.Discard, "", 0)}
	log.Fatal(server.Serve(listener))
}
