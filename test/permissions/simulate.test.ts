import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  allowed,
  type Call,
  changing,
  documents,
  EXAMPLE,
  groupResource,
  issuing,
  policyOf,
  scaling,
  template,
  zoneResource,
} from "./world.ts";

// A busy machine is not a failure.
setDefaultTimeout(60_000);

const { identity, boundary } = documents(policyOf(EXAMPLE));
const AUTHORITY = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/11111111-2222-3333-4444-555555555555";
const ZONE = "Z0123456789ABCDEFGHIJ";
const BROKER = "b1.brokers.prod-eu-1.example.com";
const ALIAS = "bootstrap.prod-eu-1.example.com";
const SERVER = template("EndEntityServerAuthCertificate/V1");
const elsewhere = (call: Call): Call => ({ ...call, context: { ...call.context, "aws:RequestedRegion": "us-east-1" } });
const on = (call: Call, resource: string): Call => ({ ...call, resource });

/** What the rules permit. */
const PERMITTED: Readonly<Record<string, Call>> = {
  "the group is scaled": scaling("prod-eu-1-brokers"),
  "a group is read": { action: "autoscaling:DescribeAutoScalingGroups", resource: "*" },
  "a server certificate is issued": issuing(AUTHORITY, SERVER),
  "it is fetched": { action: "acm-pca:GetCertificate", resource: AUTHORITY },
  "a record is created": changing(ZONE, [BROKER], ["A"], ["CREATE"]),
  "a record is replaced": changing(ZONE, [BROKER], ["AAAA"], ["DELETE", "CREATE"]),
  "the alias is replaced": changing(ZONE, [ALIAS], ["CNAME"], ["DELETE", "CREATE"]),
  "the records are listed": { action: "route53:ListResourceRecordSets", resource: zoneResource(ZONE) },
  "a change is followed": { action: "route53:GetChange", resource: "arn:aws:route53:::change/C1" },
};

/** The same, one step to the side. */
const SIBLINGS: Readonly<Record<string, Call>> = {
  "another group": scaling("prod-eu-1-brokers-2"),
  "a group whose name ends in this one's": scaling("x/prod-eu-1-brokers"),
  "the group in another region": on(scaling(""), groupResource("prod-eu-1-brokers", "eu-west-2")),
  "the group in another account": on(scaling(""), groupResource("prod-eu-1-brokers", "eu-west-1", "444455556666")),
  "another change of the group": {
    action: "autoscaling:UpdateAutoScalingGroup",
    resource: groupResource("prod-eu-1-brokers"),
  },
  "a machine of the group": {
    action: "autoscaling:TerminateInstanceInAutoScalingGroup",
    resource: groupResource("prod-eu-1-brokers"),
  },
  "groups read in another region": elsewhere({ action: "autoscaling:DescribeAutoScalingGroups", resource: "*" }),
  "another authority": issuing(AUTHORITY.replace("1111-2222", "1111-9999"), SERVER),
  "the authority in another region": issuing(AUTHORITY.replace("eu-west-1", "eu-west-2"), SERVER),
  "the authority in another account": issuing(AUTHORITY.replace("111122223333", "444455556666"), SERVER),
  "another usage": issuing(AUTHORITY, template("EndEntityClientAuthCertificate/V1")),
  "both usages": issuing(AUTHORITY, template("EndEntityCertificate/V1")),
  "a certificate authority": issuing(AUTHORITY, template("SubordinateCACertificate_PathLen0/V1")),
  "names that the request does not hold": issuing(
    AUTHORITY,
    template("EndEntityServerAuthCertificate_APIPassthrough/V1"),
  ),
  "no template": issuing(AUTHORITY, null),
  "a certificate revoked": { action: "acm-pca:RevokeCertificate", resource: AUTHORITY },
  "another zone": changing("Z9876543210ABCDEFGHIJ", [BROKER], ["A"], ["CREATE"]),
  "another name": changing(ZONE, ["www.prod-eu-1.example.com"], ["A"], ["CREATE"]),
  "the name itself": changing(ZONE, ["brokers.prod-eu-1.example.com"], ["A"], ["CREATE"]),
  "a name that only ends alike": changing(ZONE, ["xbrokers.prod-eu-1.example.com"], ["A"], ["CREATE"]),
  "a second name in the batch": changing(ZONE, [BROKER, "www.prod-eu-1.example.com"], ["A"], ["CREATE"]),
  "another type": changing(ZONE, [BROKER], ["TXT"], ["CREATE"]),
  "another rule's type for this name": changing(ZONE, [BROKER], ["CNAME"], ["DELETE", "CREATE"]),
  "another rule's name for this type": changing(ZONE, [ALIAS], ["A"], ["DELETE", "CREATE"]),
  "an overwriting change": changing(ZONE, [BROKER], ["A"], ["UPSERT"]),
  "a deletion": changing(ZONE, [BROKER], ["A"], ["DELETE"]),
  "a creation where only replace is permitted": changing(ZONE, [ALIAS], ["CNAME"], ["CREATE"]),
  "a deletion where only replace is permitted": changing(ZONE, [ALIAS], ["CNAME"], ["DELETE"]),
  "a batch of nothing": changing(ZONE, [], [], []),
  "a change without its names": { action: "route53:ChangeResourceRecordSets", resource: zoneResource(ZONE) },
  "the records of another zone": {
    action: "route53:ListResourceRecordSets",
    resource: zoneResource("Z9876543210ABCDEFGHIJ"),
  },
  "a zone deleted": { action: "route53:DeleteHostedZone", resource: zoneResource(ZONE) },
  "a role taken on": { action: "sts:AssumeRole", resource: "arn:aws:iam::111122223333:role/admin" },
};

describe("the rendered permissions, judged by an IAM that we did not write", () => {
  test.each(Object.entries(PERMITTED))("allowed, within the boundary too: %s", async (_, call) => {
    expect(await allowed(identity, call)).toBe(true);
    expect(await allowed(identity, call, boundary)).toBe(true);
  });

  test.each(Object.entries(SIBLINGS))("denied: %s", async (_, call) => {
    expect(await allowed(identity, call)).toBe(false);
  });

  test("the boundary holds a role that was given everything to the same calls", async () => {
    const everything = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] } as const;
    for (const [name, call] of Object.entries(PERMITTED)) {
      expect([name, await allowed(everything, call, boundary)]).toEqual([name, true]);
    }
    for (const [name, call] of Object.entries(SIBLINGS)) {
      expect([name, await allowed(everything, call)]).toEqual([name, true]);
      expect([name, await allowed(everything, call, boundary)]).toEqual([name, false]);
    }
  });

  test.each([
    ["create", [["CREATE"]]],
    ["delete", [["DELETE"]]],
    ["replace", [["DELETE", "CREATE"]]],
    ["create, replace", [["CREATE"], ["DELETE", "CREATE"]]],
    ["replace, delete", [["DELETE"], ["DELETE", "CREATE"]]],
    ["create, delete", [["CREATE"], ["DELETE"]]],
    ["create, replace, delete", [["CREATE"], ["DELETE"], ["DELETE", "CREATE"]]],
  ])("a rule that permits %s lets just its batches be sent: never none, never UPSERT", async (changes, sent) => {
    const policy = policyOf(EXAMPLE.replace("changes: [create, replace]", `changes: [${changes}]`));
    const { identity: document } = documents(policy);
    const batches = [[], ["CREATE"], ["DELETE"], ["DELETE", "CREATE"], ["UPSERT"], ["DELETE", "UPSERT"]];
    for (const batch of batches) {
      const expected = sent.some((one) => one.join() === batch.join());
      expect([batch, await allowed(document, changing(ZONE, [BROKER], ["A"], batch))]).toEqual([batch, expected]);
      // A key without values is true for ForAllValues: names and types are asked for as well.
      expect(await allowed(document, changing(ZONE, [], ["A"], batch))).toBe(false);
      expect(await allowed(document, changing(ZONE, [BROKER], [], batch))).toBe(false);
    }
    expect(await allowed(document, { action: "route53:ChangeResourceRecordSets", resource: zoneResource(ZONE) })).toBe(
      false,
    );
  });

  test("a boundary alone grants nothing", async () => {
    const none = { Version: "2012-10-17", Statement: [] } as const;
    for (const call of Object.values(PERMITTED)) expect(await allowed(none, call, boundary)).toBe(false);
  });

  test("a policy without rules grants nothing, whatever else the role has", async () => {
    const empty = documents(policyOf(EXAMPLE.replace(/rules:[\s\S]*/, "rules: []\ntests: []\n")));
    for (const call of Object.values(PERMITTED)) {
      expect(await allowed(empty.identity, call)).toBe(false);
      expect(await allowed(identity, call, empty.boundary)).toBe(false);
    }
  });
});
