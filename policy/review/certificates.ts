import type { CertificateArgs, Usage } from "../asked.ts";
import { durationText } from "../duration.ts";
import type { RuleFor } from "../policy.ts";
import { bitsIn, type Extent, members, range, type Several, several, some } from "./extents.ts";
import { nameParts } from "./names.ts";
import type { Region } from "./region.ts";
import { asRange } from "./scale.ts";
import { rangeWords, type Space } from "./space.ts";

type CertificateRule = RuleFor<"issue-certificate">;

/** Names that one certificate request may have. */
const MOST_NAMES = 64;
const MADE = ["in-cluster", "by-vendor"] as const;
const USAGES: readonly (readonly Usage[])[] = [["server"], ["client"], ["server", "client"]];

export function asSeveral(extent: Extent | undefined): Several {
  if (extent?.kind !== "several") throw new Error("not a set of sets");
  return extent;
}
export function asBits(extent: Extent | undefined): bigint {
  if (extent?.kind !== "some") throw new Error("not a set of parts");
  return extent.bits;
}
export function first(bits: bigint): number {
  const [at] = bitsIn(bits);
  if (at === undefined) throw new Error("a set without parts");
  return at;
}

function bitsWhere<T>(all: readonly T[], wanted: (one: T) => boolean): bigint {
  return all.reduce((bits, one, at) => (wanted(one) ? bits | (1n << BigInt(at)) : bits), 0n);
}

/** What a set's members must be, in words; `said` words a part. */
export function severalWords({ within, touching }: Several, said: (bits: bigint) => string): string {
  const least = touching.map((part) => `, at least one of them ${said(part)}`);
  return `${said(within)}${least.join("")}`;
}

function csrOf(names: readonly string[], keyType: string) {
  const sans = names.map((value) => ({ type: "dns", value }));
  return { signatureValid: true, subject: "", commonName: null, sans, keyType, extensions: [], wantsCa: false };
}

/** `made` is where the key was made, `type` its type. Of a request itself nothing is compared that no rule can permit. */
export function certificateSpace(authority: string, rules: readonly CertificateRule[]): Space {
  const names = nameParts(rules.map((rule) => rule.names));
  const types = [...new Set(rules.flatMap((rule) => rule.key.type))];
  const request = (made: (typeof MADE)[number]): Pick<CertificateArgs, "csr" | "csr_sha256"> =>
    made === "by-vendor" ? { csr: "AAAA" } : { csr_sha256: "0".repeat(64) };
  return {
    of: null,
    regionOf(rule): Region | null {
      const { key, usages, validity, names: allowed } = rule as CertificateRule;
      const within = names.bitsOf(allowed);
      const least = Math.max(1, validity.min);
      if (within === 0n || least > validity.max) return null;
      return {
        names: several(within),
        made: some(bitsWhere(MADE, (made) => made === key.made)),
        type: some(bitsWhere(types, (type) => key.type.includes(type))),
        usages: some(bitsWhere(USAGES, (set) => set.every((usage) => usages.includes(usage)))),
        validity: range(least, validity.max),
      };
    },
    possible: () => true,
    idle: () => false,
    sample(region) {
      const chosen = members(asSeveral(region["names"])).map(names.sample);
      if (chosen.length > MOST_NAMES) return null;
      const made = MADE[first(asBits(region["made"]))] ?? "in-cluster";
      const usages = USAGES[first(asBits(region["usages"]))] ?? [];
      const csr = csrOf(chosen, types[first(asBits(region["type"]))] ?? "");
      const args = { authority, usages, validity: asRange(region["validity"]).max, ...request(made) };
      return { asked: { action: "issue-certificate", args }, found: { action: "issue-certificate", csr, made } };
    },
    valuesOf({ asked, found }) {
      if (asked.action !== "issue-certificate" || found.action !== "issue-certificate") return null;
      if (asked.args.authority !== authority || (asked.args.csr === undefined) !== (found.made === "in-cluster"))
        return null;
      const said = found.csr.sans.map(({ type, value }) => (type === "dns" ? names.partOf(value) : -1));
      const usages = USAGES.findIndex(
        (set) => set.length === asked.args.usages.length && set.every((usage) => asked.args.usages.includes(usage)),
      );
      return {
        names: said,
        made: MADE.indexOf(found.made),
        type: (types as readonly string[]).indexOf(found.csr.keyType),
        usages,
        validity: asked.args.validity,
      };
    },
    words(region) {
      const validity = asRange(region["validity"]);
      const made = bitsIn(asBits(region["made"])).map((at) =>
        MADE[at] === "in-cluster" ? "made in the cluster" : "made by the vendor, who holds it",
      );
      const key = bitsIn(asBits(region["type"])).map((at) => types[at]);
      const usages = bitsIn(asBits(region["usages"])).map((at) => USAGES[at]?.join(" and "));
      return [
        `issue a certificate from ${authority} for ${severalWords(asSeveral(region["names"]), names.words)}`,
        `for a ${key.join(" or ")} key ${made.join(" or ")}`,
        `for use as ${usages.join(", or ")}`,
        `valid for ${rangeWords(validity.min, validity.max, durationText)}`,
      ].join(", ");
    },
  };
}
