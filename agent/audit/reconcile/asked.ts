import "reflect-metadata";
import { createHash } from "node:crypto";
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from "@peculiar/x509";
import { CLOCK_SKEW_SECONDS } from "../../limits.ts";
import type { Call, RecordWish, Wished } from "./call.ts";
import type { Known } from "./ledger.ts";
import { provingOf } from "./proving.ts";

/** How a change stands to the command whose answer it is taken for. `other`: fields that differ; `unseen`: fields that could not be compared. */
export type Likeness = { readonly other: readonly string[]; readonly unseen: readonly string[] };
type Verdict = "same" | "other" | "unseen";

/** What a change without an answer asked for, as the cloud's log shows it, beside what its intent asked for. Absent is not equal. */
export function likeness(call: Call, command: Known): Likeness {
  const { asked } = command;
  const region = { ours: "same", other: "other", unsaid: "unseen" } as const;
  const resource = call.subjects.length === 0 || command.resource === null ? "unseen" : "same";
  const fields: Readonly<Record<string, Verdict>> = {
    region: region[call.place],
    resource,
    ...(asked === null ? { asked: "unseen" } : fieldsOf(call, command, asked)),
  };
  const those = (verdict: Verdict): string[] => Object.keys(fields).filter((name) => fields[name] === verdict);
  return { other: those("other"), unseen: those("unseen") };
}

function fieldsOf(call: Call, command: Known, asked: NonNullable<Known["asked"]>): Record<string, Verdict> {
  const { wished } = call;
  switch (command.action) {
    case "scale":
      return { count: equal(wished.count, asked["count"]) };
    case "issue-certificate":
      if (provingOf(command) !== null) return proofs(wished.records);
      return {
        usages: equal(wished.usages, listText(asked["usages"])),
        validity: validity(wished.validity, call.time / 1000, asked["validity"]),
        csr: wished.request === undefined ? equal(wished.csr, command.csr) : equal(wished.request, command.request),
      };
    case "update-dns":
      return records(wished.records, asked);
    case "deploy":
      // No cloud's log says which manifest a change was for: a person must look.
      return { manifest: "unseen" };
  }
}

function equal(shown: string | number | null, asked: unknown): Verdict {
  if (shown === null || asked === null || asked === undefined) return "unseen";
  return shown === asked ? "same" : "other";
}

export function listText(list: unknown): string | null {
  return Array.isArray(list) ? [...list].sort().join(",") : null;
}

/** Not longer than asked, and not beginning later: a short one of ten years hence is none of an hour. */
function validity(shown: Wished["validity"], time: number, asked: unknown): Verdict {
  if (shown === null || typeof asked !== "number") return "unseen";
  if (shown === "another form") return "other";
  const { from, until } = shown;
  // Both ends are inclusive.
  if (until - (from ?? time) + 1 > asked || until > time + asked + CLOCK_SKEW_SECONDS) return "other";
  return from === null ? "unseen" : "same";
}

const STEPS: Readonly<Record<string, readonly string[]>> = {
  create: ["CREATE"],
  replace: ["DELETE", "CREATE"],
  delete: ["DELETE"],
};

function records(shown: Wished["records"], asked: NonNullable<Known["asked"]>): Record<string, Verdict> {
  if (shown === null) return { records: "unseen" };
  const { change, name, type, values, ttl } = asked;
  const steps = STEPS[String(change)] ?? [];
  const created = shown.filter((one) => one.step !== "DELETE");
  const put = shown.map((one) => one.step).join(",") === "PUT";
  return {
    change: put
      ? change === "delete"
        ? "other"
        : "same"
      : equal(shown.map((one) => one.step).join(","), steps.join(",")),
    name: shown.every((one) => one.name === name) ? "same" : "other",
    type: shown.every((one) => one.type === type) ? "same" : "other",
    ttl: worst(created.map((one) => equal(one.ttl, ttl))),
    values: worst(created.map((one) => valuesOf(one, values))),
  };
}

/** The records that prove names are TXT, whose values the intent cannot know: a person must look. */
function proofs(shown: Wished["records"]): Record<string, Verdict> {
  if (shown === null) return { records: "unseen" };
  return { type: shown.every(({ type }) => type === "TXT") ? "same" : "other", values: "unseen" };
}

/** Texts of the other types have more than one form: where they are not the same text, nothing is concluded. */
function valuesOf({ type, values }: RecordWish, asked: unknown): Verdict {
  if (values === null || !Array.isArray(asked)) return "unseen";
  const plain = (value: unknown): string =>
    type === "CNAME" ? String(value).toLowerCase().replace(/\.$/, "") : String(value);
  const text = (list: readonly unknown[]): string => JSON.stringify([...new Set(list.map(plain))].sort());
  if (text(values) === text(asked)) return "same";
  return type === "A" || type === "CNAME" ? "other" : "unseen";
}

function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes("other")) return "other";
  return verdicts.includes("unseen") ? "unseen" : "same";
}

/** Of a request's DER in base64: it is compared, and a million of them are not held. */
export function csrDigest(base64: string): string {
  return createHash("sha256").update(base64).digest("hex");
}

/** Of a public key, SPKI in DER, and the DNS names that a request asks it to stand for. */
export function requestDigest(spki: Uint8Array, names: readonly string[]): string {
  return createHash("sha256")
    .update(spki)
    .update([...new Set(names)].sort().join("\n"))
    .digest("hex");
}

/** The same of a request's DER in base64; null for what is none. */
export function requestDigestOf(base64: string): string | null {
  try {
    const request = new Pkcs10CertificateRequest(new Uint8Array(Buffer.from(base64, "base64")));
    const found = request.extensions.find((one) => one instanceof SubjectAlternativeNameExtension);
    const names = found instanceof SubjectAlternativeNameExtension ? found.names.items.map(({ value }) => value) : [];
    return requestDigest(new Uint8Array(request.publicKey.rawData), names);
  } catch {
    // The log's form does not say that it is a request: one that is not is not compared.
    return null;
  }
}
