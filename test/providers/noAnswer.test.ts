import { expect, test } from "bun:test";
import { reasonOf } from "../../agent/host/socket.ts";
import { noAnswer } from "../../providers/noAnswer.ts";

/** Codes as the runtime gives them. */
test.each([
  ["ECONNREFUSED", "connection-refused"],
  ["ENOTFOUND", "dns"],
  ["EAI_AGAIN", "dns"],
  ["EHOSTUNREACH", "no-route"],
  ["ENETUNREACH", "no-route"],
  ["ETIMEDOUT", "timeout"],
  ["ECONNRESET", "reset"],
  ["EPIPE", "reset"],
  ["EADDRNOTAVAIL", "reset"],
  ["CERT_HAS_EXPIRED", "tls"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "tls"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "tls"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "tls"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "tls-broken"],
  ["ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED", "tls-broken"],
])("a connection's %s is %s, whether it stood or not", (code, status) => {
  const reason = reasonOf(Object.assign(new Error("x"), { code }));
  for (const left of [false, true]) expect(noAnswer(reason, left)).toMatchObject({ status, bytesLeft: left });
});

test.each([
  ["proxy: refused", "proxy-unreachable"],
  ["proxy: timeout", "proxy-unreachable"],
  ["proxy: dns", "proxy-unreachable"],
  ["proxy: reset", "proxy-unreachable"],
  ["proxy: network: EADDRNOTAVAIL", "proxy-unreachable"],
  ["proxy: 100", "proxy-denied"],
  ["proxy: 302", "proxy-denied"],
  ["proxy: 403", "proxy-denied"],
  ["proxy: 407", "proxy-credentials"],
  ["proxy: credentials ENOENT", "proxy-credentials"],
  ["proxy: credentials open to others", "proxy-credentials"],
  ["proxy: 502", "proxy-failed"],
  ["proxy: not HTTP", "proxy-malformed"],
  ["proxy: endless head", "proxy-malformed"],
  ["proxy: bytes before TLS", "proxy-malformed"],
])("%s is %s", (reason, status) => {
  expect(noAnswer(reason, false)).toMatchObject({ status, bytesLeft: false, message: reason });
});
