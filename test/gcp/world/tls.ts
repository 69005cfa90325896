/** A certificate for 127.0.0.1 of an authority of its own: the world speaks TLS with it. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Identity } from "./server.ts";

export function makeIdentity(folder: string): Identity & { readonly ca: string } {
  const at = (name: string): string => join(folder, name);
  const openssl = (...words: string[]): void => {
    const done = spawnSync("/usr/bin/openssl", words, { encoding: "utf8" });
    if (done.status !== 0) throw new Error(done.stderr);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...key, "-subj", "/CN=world", "-keyout", at("ca.key"), "-out", at("ca.pem"));
  const names = [
    "-subj",
    "/CN=127.0.0.1",
    "-addext",
    "subjectAltName=IP:127.0.0.1",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  ];
  openssl(
    "req",
    "-x509",
    ...key,
    ...names,
    "-CA",
    at("ca.pem"),
    "-CAkey",
    at("ca.key"),
    "-keyout",
    at("key.pem"),
    "-out",
    at("cert.pem"),
  );
  const text = (name: string): string => readFileSync(at(name), "utf8");
  return { key: text("key.pem"), cert: text("cert.pem"), ca: text("ca.pem") };
}
