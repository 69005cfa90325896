/** A certificate by ACME in the cloud's own log: the calls that prove its names are its command's, and no others are. */
import { expect, test } from "bun:test";
import type { EntryBody } from "../../agent/audit/entry.ts";
import {
  agentOf,
  COMMANDS,
  compared,
  type Event,
  event,
  intentOf,
  NAME,
  operation,
  outcomeOf,
  startedNow,
  type Written,
  ZONE,
} from "./cloudtrail.ts";

const AUTHORITY = `acme:letsencrypt/zone/${ZONE}`;
const RECORD = `_acme-challenge.${NAME}`;
const ID = COMMANDS.certificate;
const asked = { authority: AUTHORITY, usages: ["server"], validity: 3600 };
const found = { authority: "https://acme.example/directory", names: [NAME], key: "P-256", made: "in-cluster" };
const intent: EntryBody = {
  ...intentOf(ID, { action: "issue-certificate", asked, resource: `authority:${AUTHORITY}` }),
  found,
} as EntryBody;
const change = (request: string | null) => operation("route53:ChangeResourceRecordSets", `${ZONE}/${RECORD}`, request);
const issued = operation("acme:finalize", AUTHORITY, null);
const LOG: Written = [
  [0, startedNow],
  [10, intent],
  [24, outcomeOf(ID, 1, [change("req-put"), issued, change("req-away")])],
];
const CRASHED: Written = [...LOG.slice(0, 2), [24, outcomeOf(ID, 1, [change("req-away")], { known_by: "change id" })]];

const by = { userAgent: agentOf(ID) };
function batch(action: string, name = RECORD, type = "TXT"): Event {
  const resourceRecordSet = { name: `${name}.`, type, tTL: 60, resourceRecords: [{ value: '"proof"' }] };
  return {
    ...by,
    requestParameters: { hostedZoneId: ZONE, changeBatch: { changes: [{ action, resourceRecordSet }] } },
  };
}
const changing = (request: string, action: string, more: Event = batch(action)) =>
  event("route53:ChangeResourceRecordSets", request, 12, more);
const reading = (name: string, zone: string = ZONE) =>
  event("route53:ListResourceRecordSets", "req-list", 9, {
    ...by,
    requestParameters: { hostedZoneId: zone, startRecordName: name },
  });
const TRAIL = [changing("req-put", "CREATE"), changing("req-away", "DELETE"), reading(RECORD)];

test("the records of its names are put and taken away by it, and read before it", () => {
  expect(compared(LOG, TRAIL)).toMatchObject({ agrees: true, explained: { matched: 2, read: 1 } });
});

test("no authority of the cloud's is ever called by it", () => {
  const arn = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/11223344-1234-1122-2233-112233445566";
  const call = event("acm-pca:GetCertificate", "r", 12, { ...by, requestParameters: { certificateAuthorityArn: arn } });
  expect(compared(LOG, [...TRAIL, call]).unexplained.shown[0]?.why).toContain("never calls this operation");
});

test("a reading of another zone is not its", () => {
  expect(compared(LOG, [...TRAIL, reading(RECORD, "Z9999999999ABCDEFGHIJ")]).unexplained.shown[0]?.why).toContain(
    "another resource",
  );
});

test("after a crash the record that nobody heard of is shown, for a person to look at", () => {
  const { agrees, answers, unexplained } = compared(CRASHED, TRAIL);
  expect([agrees, answers.count, answers.doubtful, unexplained.count]).toEqual([false, 1, 1, 0]);
  expect(answers.shown[0]?.why).toContain("not compared: values");
});

test("after a crash a record of another name or type is unexplained, and more changes than can have been are too", () => {
  for (const more of [batch("CREATE", NAME), batch("CREATE", RECORD, "A")])
    expect(compared(CRASHED, [...TRAIL.slice(1), changing("req-x", "CREATE", more)]).unexplained.count).toBe(1);
  const many = ["req-1", "req-2", "req-3"].map((request) => changing(request, "CREATE"));
  const { answers, unexplained } = compared(CRASHED, [...TRAIL.slice(1), ...many]);
  expect([answers.count, unexplained.count]).toEqual([2, 1]);
});
