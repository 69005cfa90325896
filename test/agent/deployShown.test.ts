import { expect, test } from "bun:test";
import { Entry } from "../../agent/audit/entry.ts";
import { emptyMemory, fold } from "../../agent/audit/memory.ts";
import { ocsfEvents } from "../../agent/audit/ocsf.ts";
import { findApprovable } from "../../agent/commands/approvable.ts";
import { addUse, emptyUsage } from "../../agent/ui/page/usage.ts";
import { wishOf } from "../../agent/ui/page/words.ts";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { digestOf } from "../../agent/wire/envelope.ts";

/** What people read of a deploy: who approves it, who looks into the log, and what takes its events. */
const COMMAND = "01936f3e-0000-7000-8000-000000000001";
const MANIFEST = `sha256:${"5".repeat(64)}`;
const DIGEST = `sha256:${"1".repeat(64)}`;
const TIME = "2026-11-24T09:14:07.412Z";
const claims = {
  action: "deploy",
  args: { group: "brokers", manifest: MANIFEST },
  aud: "spiffe://vendor.example/cluster/prod-eu-1/agent",
  by: "maria",
  dry_run: false,
  epoch: 1,
  exp: 1_795_000_000,
  iat: 1_794_999_000,
  iss: "vendor.example",
  jti: COMMAND,
  why: "release 41",
};
const signed = `e30.${Buffer.from(canonical(claims as unknown as Json)).toString("base64url")}.AA`;
const asking = {
  v: 1,
  time: TIME,
  cluster: "prod-eu-1",
  epoch: 1,
  action: "deploy",
  asked: { group: "brokers", manifest: MANIFEST },
  by: { key: "cmd-2026-11", says: { operator: "maria", why: "release 41" } },
  command: COMMAND,
  digest: digestOf(signed),
  exp: claims.exp,
  allowed: { policy: DIGEST, rule: "release" },
  found: { count: 3, image: "ami-0", signed_by: ["one", "two"], to: "ami-1", version: "4.2.0" },
  resource: "group:brokers",
  signed,
};
const waiting = Entry.parse({
  ...asking,
  index: 4,
  kind: "waiting",
  approval: { by: ["alice"], need: 1, within: 7200 },
  sentence: "release: …",
  until: 1_794_999_900,
});
const intent = Entry.parse({ ...asking, index: 5, kind: "intent", csr: null });

test("who approves a deploy reads the manifest, its version, who signed it, and the image from and to", () => {
  const found = findApprovable([waiting], COMMAND);
  if (found === null || "bad" in found) throw new Error("it does not wait");
  expect(found.title).toBe("prod-eu-1 is asked to deploy");
  const facts = new Map(found.facts);
  expect(facts.get("manifest")).toBe(MANIFEST);
  expect(facts.get("version")).toBe("4.2.0");
  expect(facts.get("signed by")).toBe("one, two");
  expect(facts.get("image")).toBe("from ami-0 to ami-1");
  // The digest is out of the signed bytes: an entry that says another one shows the signed one all the same.
  const lying = { ...waiting, asked: { group: "brokers", manifest: DIGEST } } as Entry;
  const again = findApprovable([lying], COMMAND);
  if (again === null || "bad" in again) throw new Error("it does not wait");
  expect(new Map(again.facts).get("manifest")).toBe(MANIFEST);
  const unread = findApprovable([{ ...waiting, found: { count: 3, image: null } } as Entry], COMMAND);
  if (unread === null || "bad" in unread) throw new Error("it does not wait");
  expect(new Map(unread.facts).get("image")).toBe("from not known to not known");
});

test("status, the page and OCSF name the manifest and the group", () => {
  const memory = emptyMemory(null);
  fold(memory, intent);
  expect(memory.recent[0]).toMatchObject({ action: "deploy", subject: "sha256:555555555555… to brokers" });
  if (intent.kind !== "intent") throw new Error("no intent");
  expect(wishOf(intent)).toBe("Deploy sha256:555555555555… to brokers");
  const [event] = ocsfEvents(intent, JSON.stringify(intent), null);
  expect(event).toMatchObject({
    activity_name: "Update",
    message: `Permitted deploy group=brokers manifest=${MANIFEST}`,
    resources: [{ name: "brokers", type: "group" }],
  });
  const usage = emptyUsage(Date.parse(TIME));
  addUse(usage, intent);
  expect([...(usage.rules.get("release")?.values.get("signers")?.keys() ?? [])]).toEqual(["one", "two"]);
});
