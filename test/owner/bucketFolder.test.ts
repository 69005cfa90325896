import { expect, test } from "bun:test";
import { readApprovals } from "../../agent/owner/approvals.ts";
import { bucketFolder } from "../../agent/owner/bucketFolder.ts";
import { policyReader } from "../../agent/owner/policy.ts";
import { readSwitch } from "../../agent/owner/switch.ts";
import { BucketFailed, bucketName } from "../../providers/bucket.ts";
import { memoryBucket, stillClock } from "../bucket/memory.ts";

function world() {
  const memory = memoryBucket();
  const clock = stillClock();
  return { world: memory, clock, folder: bucketFolder(memory.bucket, clock) };
}

test("before a bucket was read, and once its reading is old, it counts as off and permits nothing", async () => {
  const { world: at, clock, folder } = world();
  at.put("owner/on", "on");
  expect(readSwitch(folder)).toMatchObject({ on: false, missing: false });
  expect(policyReader(folder)("scale")).toMatchObject({ refusal: { code: "policy.unreadable" } });
  await folder.refresh();
  expect(readSwitch(folder)).toMatchObject({ on: true });
  clock.at += 30_000;
  expect(readSwitch(folder)).toMatchObject({ on: true });
  clock.at += 1;
  expect(readSwitch(folder)).toMatchObject({ on: false, missing: false });
  expect(policyReader(folder)("scale")).toMatchObject({ refusal: { code: "policy.unreadable" } });
});

test("a reading that fails is what counts from then on, not the one before it", async () => {
  const { world: at, folder } = world();
  at.put("owner/on", "on");
  await folder.refresh();
  for (let n = 0; n < 9; n++)
    at.faults.push({ of: "get", done: false, error: new BucketFailed("denied", "AccessDenied", "Permit it.") });
  await folder.refresh();
  const off = readSwitch(folder);
  expect(off).toMatchObject({ on: false, missing: false });
  expect("why" in off && off.why).toContain("AccessDenied");
  at.faults.length = 0;
  await folder.refresh();
  expect(readSwitch(folder).on).toBe(true);
});

test("a switch that was deleted is off at the next reading, and one that was put anew is another one", async () => {
  const { world: at, folder } = world();
  at.put("owner/on", "on");
  await folder.refresh();
  const first = readSwitch(folder);
  at.remove("owner/on");
  at.put("owner/suspended", "maintenance\n");
  await folder.refresh();
  expect(readSwitch(folder)).toEqual({ on: false, why: "maintenance", missing: true });
  at.put("owner/on", "on");
  await folder.refresh();
  const second = readSwitch(folder);
  expect(first.on && second.on && first.inode !== second.inode).toBe(true);
});

test("an approval is looked for once it was asked for, and nothing is ever listed", async () => {
  const { world: at, folder } = world();
  const what = { kind: "fencing", epoch: 1, digest: `sha256:${"0".repeat(64)}` } as const;
  const policy = { people: { alice: "ssh-ed25519 AAAA" }, cluster: "prod-eu-1" };
  at.put("owner/approvals/fencing-1.sig", "no signature");
  await folder.refresh();
  expect(at.asked).toEqual(["owner/policy.yaml", "owner/suspended", "owner/on"]);
  expect(readApprovals(folder, policy, what, null)).toEqual([]);
  at.asked.length = 0;
  await folder.refresh();
  expect([...at.asked]).toEqual([
    "owner/approvals/fencing-1.sig",
    "owner/approvals/fencing-1.alice.sig",
    "owner/policy.yaml",
    "owner/suspended",
    "owner/on",
  ]);
  expect(readApprovals(folder, policy, what, null)).toMatchObject([{ code: "approval.form", person: null }]);
});

test("an approval that was asked for goes on being read, however often the folder is read until somebody asks again", async () => {
  const { world: at, clock, folder } = world();
  const what = { kind: "fencing", epoch: 1, digest: `sha256:${"0".repeat(64)}` } as const;
  const policy = { people: {}, cluster: "prod-eu-1" };
  at.put("owner/approvals/fencing-1.sig", "no signature");
  readApprovals(folder, policy, what, null);
  for (let n = 0; n < 3; n++) await folder.refresh();
  expect(readApprovals(folder, policy, what, null)).toMatchObject([{ code: "approval.form" }]);
  // Nobody asks for a minute: then it is read no more.
  clock.at += 61_000;
  at.asked.length = 0;
  await folder.refresh();
  expect(at.asked).toEqual(["owner/policy.yaml", "owner/suspended", "owner/on"]);
});

test("approvals that take too long leave the policy and the switch to be read", async () => {
  const { world: at, clock, folder } = world();
  at.put("owner/on", "on");
  const what = { kind: "fencing", epoch: 1, digest: `sha256:${"0".repeat(64)}` } as const;
  readApprovals(folder, { people: { a: "x", b: "y" }, cluster: "c" }, what, null);
  const sleeps: number[] = [];
  const sleep = clock.sleep;
  clock.sleep = (milliseconds, signal) => {
    sleeps.push(milliseconds);
    return sleep(milliseconds, signal);
  };
  await folder.refresh();
  // A time of their own, then one for each of the others.
  expect(sleeps).toEqual([5000, 10_000, 10_000, 10_000]);
  expect(readSwitch(folder).on).toBe(true);
});

test("without the right to list, a missing approval is answered with a denial: nobody has said yes", async () => {
  const { world: at, folder } = world();
  const what = { kind: "fencing", epoch: 1, digest: `sha256:${"0".repeat(64)}` } as const;
  expect(readApprovals(folder, { people: {}, cluster: "c" }, what, null)).toMatchObject([
    { code: "approval.unreadable" },
  ]);
  for (let n = 0; n < 9; n++)
    at.faults.push({ of: "get", done: false, error: new BucketFailed("denied", "AccessDenied", "Permit it.") });
  await folder.refresh();
  expect(readApprovals(folder, { people: {}, cluster: "c" }, what, null)).toEqual([]);
});

test("one reading serves all who ask while it has not begun, and nobody gets one that began before they asked", async () => {
  const { world: at, folder } = world();
  at.put("owner/on", "on");
  const first = folder.refresh();
  at.remove("owner/on");
  await Promise.all([first, folder.refresh()]);
  expect(readSwitch(folder).on).toBe(false);
});

test("no other object can be named", () => {
  for (const name of ["owner/other", "owner/approvals/../on", "log/head/x", "policy.yaml", "owner/approvals/x", ""])
    expect(() => bucketName(name, "read")).toThrow("is not for the agent");
  for (const name of ["owner/on", "log/head", "log/0/00000000000000000000.jsonl", "log/1/x.jsonl", "log/1/../2"])
    expect(() => bucketName(name, "add")).toThrow("is not for the agent");
  expect(String(bucketName("log/3/00000000000000000000.jsonl", "add"))).toBe("log/3/00000000000000000000.jsonl");
});
