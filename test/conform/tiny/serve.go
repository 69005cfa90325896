package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"time"
)

const maxBody = 2 << 20

// fault is any answer that is not 200.
type fault struct {
	code string
	// ends: the connection is closed after the answer.
	ends bool
}

var statuses = map[string]int{
	"token-invalid": 403, "token-expired": 403, "token-burnt": 403, "token-theft": 403, "proof-nonce": 403, "key-used": 403,
	"csr-invalid": 400, "fenced": 403, "certificate": 403, "expired": 403, "malformed": 400, "too-large": 413, "conflict": 409,
	"not-found": 404, "unavailable": 503, "not-available": 501,
}

func say(w http.ResponseWriter, f *fault) {
	status, known := statuses[f.code]
	if !known {
		panic("no such fault: " + f.code)
	}
	if broken("wrong-status") && status == 403 {
		status = 401
	}
	if f.ends {
		w.Header().Set("Connection", "close")
	}
	answer(w, status, map[string]string{"code": f.code, "message": "tiny says " + f.code})
}

func answer(w http.ResponseWriter, status int, value interface{}) {
	body, err := json.Marshal(value)
	must(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

type connKey struct{}

// server tells each connection when it was accepted, on the plane's own count of what happened.
func (p *plane) server(handler http.Handler, config *tls.Config) *http.Server {
	der, key := p.ca.server()
	chain := [][]byte{der, p.ca.cert.Raw}
	if broken("root-not-sent") {
		chain = chain[:1]
	}
	config.Certificates = []tls.Certificate{{Certificate: chain, PrivateKey: key}}
	config.MinVersion = tls.VersionTLS13
	return &http.Server{
		Handler: handler, TLSConfig: config, ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, p.tick())
		},
	}
}

func (p *plane) serveEnrolment(l net.Listener) {
	mux := p.routes(map[string]http.HandlerFunc{
		"GET /v1/nonce":   p.nonce,
		"POST /v1/enroll": p.enroll,
		"POST /v1/renew":  p.graceRenew,
	})
	must(p.server(mux, &tls.Config{}).ServeTLS(l, "", ""))
}

func (p *plane) serveAgents(l net.Listener) {
	roots := x509.NewCertPool()
	roots.AddCert(p.ca.cert)
	config := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots}
	if broken("foreign-client") {
		config.ClientAuth = tls.RequestClientCert
	}
	mux := p.routes(map[string]http.HandlerFunc{
		"POST /v1/renew":       p.renew,
		"POST /v1/commands":    p.poll,
		"POST /v1/reports":     p.report,
		"POST /v1/shared":      p.shared,
		"GET " + manifestsPath: p.manifest,
		"POST /v1/witness":     func(w http.ResponseWriter, _ *http.Request) { say(w, &fault{code: "not-available"}) },
	})
	must(p.server(mux, config).ServeTLS(l, "", ""))
}

func (p *plane) routes(paths map[string]http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if strings.HasPrefix(path, manifestsPath) {
			path = manifestsPath
		}
		handler, there := paths[r.Method+" "+path]
		if there {
			handler(w, r)
		} else if broken("redirects") {
			http.Redirect(w, r, "/v1/nonce", http.StatusTemporaryRedirect)
		} else {
			say(w, &fault{code: "not-found"})
		}
	})
}

// body reads a request into a struct whose fields are all required, and knows no other.
func body(w http.ResponseWriter, r *http.Request, into interface{}) *fault {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if len(data) > maxBody {
		return &fault{code: "too-large", ends: true}
	}
	if err != nil {
		return &fault{code: "malformed"}
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return &fault{code: "malformed"}
	}
	shape := reflect.TypeOf(into).Elem()
	for i := 0; i < shape.NumField(); i++ {
		if _, there := fields[shape.Field(i).Tag.Get("json")]; !there {
			return &fault{code: "malformed"}
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if decoder.Decode(into) != nil || len(fields) != shape.NumField() {
		return &fault{code: "malformed"}
	}
	return nil
}

func accepted(r *http.Request) int { return r.Context().Value(connKey{}).(int) }

func clusterOf(id string) (string, bool) {
	name := strings.TrimSuffix(strings.TrimPrefix(id, "spiffe://"+trustDomain+"/cluster/"), "/agent")
	return name, agentID(name) == id
}

func agentID(cluster string) string {
	return "spiffe://" + trustDomain + "/cluster/" + cluster + "/agent"
}
