import { readFileSync } from "node:fs";
import { join } from "node:path";

type Stored = {
  readonly lines: readonly string[];
  readonly checkpoints: string;
  readonly proof: string;
  readonly csrs: readonly string[];
  readonly sshsigs: readonly string[];
  readonly chain: readonly string[];
  readonly head: string;
};
const stored = JSON.parse(readFileSync(join(import.meta.dirname, "corpus", "samples.json"), "utf8")) as Stored;
const der = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

/**
 * What cannot be made anew the same way, being signed with a random number: a log of twelve entries with its checkpoints, a proof of one, the
 * agent's chain and head; requests by OpenSSL, signatures by ssh-keygen. Nobody has the private keys any more.
 */
export const SAMPLES = {
  ...stored,
  csrs: stored.csrs.map(der),
  chain: stored.chain.map(der),
  root: der(stored.chain.at(-1) ?? ""),
};
