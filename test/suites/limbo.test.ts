import "reflect-metadata";
import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { X509Certificate as Certificate } from "@peculiar/x509";
import { rootOfChain } from "../../agent/audit/chain.ts";
import { checkChain } from "../../agent/wire/x509.ts";
import { type Case, deviations, held } from "./held.ts";
import { vendored } from "./vendored.ts";

type Limbo = {
  readonly id: string;
  readonly trusted: readonly string[];
  readonly intermediates: readonly string[];
  readonly peer: string;
  readonly time: string | null;
  readonly expected: "SUCCESS" | "FAILURE";
};
/** The suite's certificates that name no time are good from 1970 to 2969. */
const NOW = Date.UTC(2026, 0, 1);

/** Every order of every choice of at most two: checkChain takes a chain of at most four, a longer one is refused before it is read. */
function* choices<T>(from: readonly T[]): Generator<readonly T[]> {
  yield [];
  for (const [at, first] of from.entries()) {
    yield [first];
    for (const second of from.toSpliced(at, 1)) yield [first, second];
  }
}

type Read = { readonly der: Uint8Array; readonly certificate: X509Certificate | null };
function read(base64: string): Read {
  const bytes = Buffer.from(base64, "base64");
  try {
    return { der: new Uint8Array(bytes), certificate: new X509Certificate(bytes) };
  } catch {
    // What cannot be read is for checkChain to refuse.
    return { der: new Uint8Array(bytes), certificate: null };
  }
}
/** Only a chain in which each names the next as its issuer is worth presenting; of unreadable ones nobody knows. */
function links(chain: readonly Read[]): boolean {
  return chain.every(({ certificate }, at) => {
    const issuer = chain[at + 1]?.certificate;
    return certificate === null || issuer === null || issuer === undefined || certificate.issuer === issuer.subject;
  });
}

/** Every chain that could be presented, as the DER of its certificates; reeve builds no path, its chains come whole and in order. */
function* chainsOf({ trusted, intermediates, peer }: Limbo): Generator<readonly Uint8Array[]> {
  const [leaf, between] = [read(peer), intermediates.map(read)];
  for (const root of trusted.map(read))
    for (const some of choices(between)) {
      const chain = [leaf, ...some, root];
      if (links(chain)) yield chain.map(({ der }) => der);
    }
}
const roots = ({ trusted }: Limbo): Uint8Array[] => trusted.map((root) => read(root).der);
const momentOf = ({ time }: Limbo): number => (time === null ? NOW : Date.parse(time));

/** A case counts as taken when one of its chains is. The reason is that of the last one that was tried. */
function taken(of: Limbo): string {
  let reason = "no chain of at most four";
  for (const chain of chainsOf(of)) {
    const checked = checkChain(chain, roots(of), momentOf(of));
    if ("leaf" in checked) return "SUCCESS";
    reason = checked.bad;
  }
  return `FAILURE: ${reason}`;
}

test("x509-limbo: each chain is judged as the suite says, or more strictly, or for a reason that is in the table", () => {
  const cases = vendored<readonly Limbo[]>("x509-limbo").map((each): Case => {
    const ours = taken(each);
    return {
      id: each.id,
      says: each.expected,
      ours: each.expected === "FAILURE" && ours !== "SUCCESS" ? "FAILURE" : ours,
    };
  });
  expect(cases.length).toBe(194);
  expect(held("x509-limbo", cases, deviations("limbo"))).toEqual([]);
}, 120_000);

/** The other checker, by WebCrypto alone: `audit verify` and the page of `audit ui` judge by it who vouches for a log's key. */
async function vouched(of: Limbo): Promise<string> {
  for (const chain of chainsOf(of)) {
    try {
      const trusted = roots(of).map((root) => new Certificate(new Uint8Array(root)));
      const presented = chain.map((each) => new Certificate(new Uint8Array(each)));
      if ((await rootOfChain(presented, trusted, momentOf(of))) !== null) return "taken";
    } catch {
      // certificatesOf leaves out what cannot be read.
    }
  }
  return "refused";
}

test("x509-limbo: who vouches for a log's key is judged as a chain is, but for what is in the table", async () => {
  const cases: Case[] = [];
  for (const each of vendored<readonly Limbo[]>("x509-limbo"))
    cases.push({ id: each.id, says: taken(each) === "SUCCESS" ? "taken" : "refused", ours: await vouched(each) });
  expect(held("x509-limbo by the log's checker", cases, deviations("limbo-log"))).toEqual([]);
}, 120_000);
