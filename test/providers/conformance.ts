import { describe, expect, test } from "bun:test";
import type { DnsArgs, ScaleArgs } from "../../policy/asked.ts";
import type { AuthorityState, JudgedCertificateArgs, RecordState, ScaleState } from "../../providers/provider.ts";
import { type Case, CLAIMS } from "./claims.ts";
import { DEPLOY_CLAIMS, type DeployCase } from "./deployClaims.ts";

export type { Case } from "./claims.ts";

/** Fresh worlds of one action, by what they stand on. Called for each claim: nothing is shared between them. */
type Cases<Args, State> = Readonly<Record<string, () => Promise<Case<Args, State>>>>;

/** A provider and what it is held to the suite on: for each action at least one world. */
export type Stage = {
  readonly provider: string;
  readonly scale: Cases<ScaleArgs, ScaleState>;
  readonly "issue-certificate": Cases<JudgedCertificateArgs, AuthorityState>;
  readonly "update-dns": Cases<DnsArgs, RecordState>;
  /** Absent: the provider has no deploy. */
  readonly deploy?: Readonly<Record<string, () => Promise<DeployCase>>>;
};

/** The conformance suite of a provider, in one call: each claim for each world is a test. */
export function conforms(stage: Stage): void {
  const of = <Args, State>(action: string, cases: Cases<Args, State>): void => {
    if (Object.keys(cases).length === 0) throw new Error(`${stage.provider} is held to nothing for ${action}`);
    for (const [where, make] of Object.entries(cases)) conformance(`${stage.provider} ${action}, ${where}`, make);
  };
  of("scale", stage.scale);
  of("issue-certificate", stage["issue-certificate"]);
  of("update-dns", stage["update-dns"]);
  if (stage.deploy === undefined) return;
  for (const [where, make] of Object.entries(stage.deploy))
    deployConformance(`${stage.provider} deploy, ${where}`, make);
}

/** Of a deploy, with what it owes the road besides. */
export function deployConformance(name: string, make: () => Promise<DeployCase>): void {
  conformance(name, make);
  describe(`${name}, besides`, () => {
    for (const claim of DEPLOY_CLAIMS) test(claim.words, () => hold(claim, make), 120_000);
  });
}

type Looked = Pick<Case<unknown, unknown>, "look" | "end">;

/** The same of one action. */
export function conformance<Args, State>(name: string, make: () => Promise<Case<Args, State>>): void {
  describe(name, () => {
    for (const claim of CLAIMS) test(claim.words, () => hold(claim, make), 120_000);
  });
}

/** Throws when a claim does not hold. */
export async function hold<One extends Looked>(
  claim: { holds(one: One): Promise<void> },
  make: () => Promise<One>,
): Promise<void> {
  const one = await make();
  try {
    expect(await one.look()).toBe("before");
    await claim.holds(one);
  } finally {
    await one.end();
  }
}

/** The words of each claim that does not hold for some action, once each: what the suite says of a provider that is broken. */
export async function violations(stage: Stage): Promise<string[]> {
  const of = <Args, State>(cases: Cases<Args, State>): Promise<string | null>[] =>
    Object.values(cases).flatMap((make) =>
      CLAIMS.map((claim) =>
        hold(claim, make).then(
          () => null,
          () => claim.words,
        ),
      ),
    );
  const found = await Promise.all([...of(stage.scale), ...of(stage["issue-certificate"]), ...of(stage["update-dns"])]);
  return [...new Set(found)].filter((words) => words !== null);
}
