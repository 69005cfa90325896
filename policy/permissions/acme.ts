import { type ChallengeRecords, challengeRecords } from "../acme.ts";
import { ACTIONS, type Action } from "../asked.ts";
import type { Policy, RuleFor } from "../policy.ts";

/**
 * What certificate rules need of a cloud, for each cloud's rendering. A rule with an ACME authority needs no right on any authority of the
 * cloud's: it needs the TXT records that prove its names, by the same calls as update-dns makes.
 */
export type CertificateNeeds = {
  /** Rules whose authority is the cloud's own. */
  readonly own: readonly RuleFor<"issue-certificate">[];
  /** In the order of their rules. Each is created, replaced and deleted, type TXT. */
  readonly challenges: readonly ChallengeRecords[];
  /** The actions whose calls the cloud sees, in their usual order. */
  readonly actions: readonly Action[];
};

export function certificateNeeds({ rules }: Policy): CertificateNeeds {
  const issuing = rules.filter((rule): rule is RuleFor<"issue-certificate"> => rule.allow === "issue-certificate");
  const own = issuing.filter((rule) => challengeRecords(rule) === null);
  const challenges = issuing.map(challengeRecords).filter((records) => records !== null);
  const seen: Readonly<Record<Action, boolean>> = {
    scale: rules.some(({ allow }) => allow === "scale"),
    "issue-certificate": own.length > 0,
    deploy: rules.some(({ allow }) => allow === "deploy"),
    "update-dns": challenges.length > 0 || rules.some(({ allow }) => allow === "update-dns"),
  };
  return { own, challenges, actions: ACTIONS.filter((action) => seen[action]) };
}
