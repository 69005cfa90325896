/** Certificate requests made by OpenSSL, and what OpenSSL says of a certificate. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireDebian } from "../../tools.ts";

export function openssl(words: readonly string[], input = ""): { good: boolean; out: string } {
  requireDebian({ openssl: "openssl" });
  const done = spawnSync("/usr/bin/openssl", words, { encoding: "utf8", input, env: {} });
  return { good: done.status === 0, out: `${done.stdout}${done.stderr}` };
}

function inFolder<T>(then: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "reeve-openssl-"));
  try {
    return then(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A P-256 key of its own, and a request for these DNS names, signed with it. `more`: lines of further extensions. */
export function makeRequest(names: readonly string[], more = ""): { csr: string; publicKey: string } {
  return inFolder((folder) => {
    const alternative = names.map((name) => `DNS:${name}`).join(",");
    const config = `[req]\nprompt=no\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\nCN=${names[0]}\n[ext]\nsubjectAltName=${alternative}\n${more}\n`;
    writeFileSync(join(folder, "config"), config);
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", join(folder, "key")];
    const made = openssl(["req", "-new", ...key, "-config", join(folder, "config"), "-out", join(folder, "csr")]);
    if (!made.good) throw new Error(made.out);
    const csr = readFileSync(join(folder, "csr"), "utf8");
    return { csr, publicKey: openssl(["req", "-noout", "-pubkey"], csr).out };
  });
}

/** `openssl verify` of a leaf under a root, for a TLS purpose and a name. */
export function verifies(leaf: string, root: string, purpose: "sslserver" | "sslclient", name: string): boolean {
  return inFolder((folder) => {
    writeFileSync(join(folder, "root"), root);
    writeFileSync(join(folder, "leaf"), leaf);
    const as = ["-purpose", purpose, "-verify_hostname", name, "-CAfile", join(folder, "root")];
    return openssl(["verify", "-x509_strict", "-no-CApath", ...as, join(folder, "leaf")]).good;
  });
}
