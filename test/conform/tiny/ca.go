package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"net"
	"net/url"
	"time"
)

type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(err)
	return n
}

func newAuthority() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	shape := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: trustDomain + " root"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * 365 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, shape, shape, key.Public(), key)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	return &authority{key, cert}
}

func (a *authority) sha() string { return hexSum(a.cert.Raw) }

// server makes a listener's certificate for 127.0.0.1.
func (a *authority) server() ([]byte, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	shape := &x509.Certificate{
		SerialNumber: serial(), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, shape, a.cert, key.Public(), a.key)
	must(err)
	return der, key
}

// agent issues a certificate for 24 hours whose only name is the URI.
func (a *authority) agent(id string, key *ecdsa.PublicKey) []byte {
	name, err := url.Parse(id)
	must(err)
	shape := &x509.Certificate{
		SerialNumber: serial(), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		URIs: []*url.URL{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, shape, a.cert, key, a.key)
	must(err)
	return der
}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
var extensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}

// readCSR takes a PKCS #10 that asks for exactly this name by a P-256 key that signed it.
func readCSR(text, id string) (*ecdsa.PublicKey, []byte, bool) {
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, nil, false
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil || csr.CheckSignature() != nil {
		return nil, nil, false
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, nil, false
	}
	if broken("csr-more-taken") {
		return key, csr.RawSubjectPublicKeyInfo, true
	}
	//lint:ignore SA1019 the only list of what attributes there are
	for _, attribute := range csr.Attributes {
		if !attribute.Type.Equal(extensionRequest) {
			return nil, nil, false
		}
	}
	if len(csr.Extensions) != 1 || !csr.Extensions[0].Id.Equal(subjectAltName) {
		return nil, nil, false
	}
	if len(csr.URIs) != 1 || csr.URIs[0].String() != id || len(csr.DNSNames)+len(csr.IPAddresses)+len(csr.EmailAddresses) > 0 {
		return nil, nil, false
	}
	return key, csr.RawSubjectPublicKeyInfo, sameNames(csr.Extensions[0].Value, id)
}

// sameNames: the subjectAltName is one URI and nothing that the parser passed over.
func sameNames(value []byte, id string) bool {
	want, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(id)}})
	return err == nil && bytes.Equal(value, want)
}

func sum(data []byte) [32]byte { return sha256.Sum256(data) }
