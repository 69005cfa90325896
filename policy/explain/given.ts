import { z } from "zod";
import type { Action, Approvals, Asked, Found, History } from "../asked.ts";
import { CertificateTest, DeployTest, DnsTest, type Policy, ScaleTest } from "../policy.ts";
import { foundOf } from "../tests.ts";

/**
 * A state as it is given on the command line: as in a policy's test, and besides who has approved, how long ago they were asked, and from
 * when on the log remembers. All but the state itself may be left out.
 */
const scaled = ScaleTest.shape.given;
const more = {
  at: scaled.shape.at.optional(),
  /** Names of the policy's people. */
  approved: z.array(z.string()).max(64).optional(),
  /** How long the command has been waiting. */
  waited: DnsTest.shape.ask.shape.ttl.optional(),
  log_since: scaled.shape.at.optional(),
};
const State = z.union([
  scaled.extend(more),
  CertificateTest.shape.given.extend(more),
  DnsTest.shape.given.extend(more),
  DeployTest.shape.given.extend(more),
]);

export type GivenState = {
  readonly action: Action;
  /** Where a certificate's key was made; null for other actions. */
  readonly made: "in-cluster" | "by-vendor" | null;
  /** For a command of that action. */
  found(asked: Asked, policy: Policy): Found;
  /** Null: no time was given. */
  readonly at: number | null;
  history(now: number): History;
  approvals(now: number): Approvals;
};

function actionOf(given: z.output<typeof State>): Action {
  if ("count" in given) return "scale";
  if ("csr" in given) return "issue-certificate";
  return "record" in given ? "update-dns" : "deploy";
}

/** Parses what was given; a fault in words when it is not of the form. */
export function parseGiven(value: unknown): GivenState | { readonly fault: string } {
  const parsed = State.safeParse(value);
  if (!parsed.success) {
    return {
      fault:
        "it is not a state: { count }, { csr: { names, key, made } }, { record } or { manifest: { signed_by, version } }, as in a policy's tests",
    };
  }
  const { at, used, approved, waited, log_since } = parsed.data;
  const said = approved !== undefined || waited !== undefined;
  const given = parsed.data;
  return {
    action: actionOf(given),
    made: "csr" in given ? given.csr.made : null,
    found: (asked, policy) => foundOf(given, asked, policy),
    at: at ?? null,
    history: (now) => ({
      intents: new Map(Object.entries(used ?? {}).map(([rule, times]) => [rule, new Array<number>(times).fill(now)])),
      since: log_since ?? null,
      revision: 0,
    }),
    approvals: (now) => ({ by: new Set(approved ?? []), since: said ? now - (waited ?? 0) * 1000 : null }),
  };
}

const Ask = z.union([ScaleTest.shape.ask, CertificateTest.shape.ask, DnsTest.shape.ask, DeployTest.shape.ask]);

/** A command in the form of a test's `ask`; null when it is not. */
export function parseAsk(value: unknown): z.output<typeof Ask> | null {
  const parsed = Ask.safeParse(value);
  return parsed.success ? parsed.data : null;
}
