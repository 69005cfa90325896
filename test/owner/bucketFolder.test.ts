import { expect, test } from "bun:test";
import { readApprovals } from "../../agent/owner/approvals.ts";
import { bucketFolder } from "../../agent/owner/bucketFolder.ts";
import { policyReader } from "../../agent/owner/policy.ts";
import { readSwitch } from "../../agent/owner/switch.ts";
import { type Bucket, BucketFailed, bucketName } from "../../providers/bucket.ts";

/** Objects in memory; an object's mark is how often it was put. `fails`: what the next answers are instead. */
function memoryBucket() {
  const objects = new Map<string, { bytes: Uint8Array; mark: string }>();
  const world = {
    puts: 0,
    fails: null as BucketFailed | null,
    asked: [] as string[],
    put(name: string, text: string) {
      world.puts += 1;
      objects.set(name, { bytes: new TextEncoder().encode(text), mark: String(world.puts) });
    },
    remove: (name: string) => objects.delete(name),
  };
  const never = (): Promise<void> => Promise.reject(new Error("only read here"));
  const bucket: Bucket = {
    place: "s3://the-owners/prod-eu-1",
    async get(name) {
      world.asked.push(name);
      if (world.fails !== null) throw world.fails;
      return objects.get(name) ?? "absent";
    },
    add: never,
    putHead: never,
  };
  const clock = {
    at: 0,
    now: () => 0,
    monotonic: () => clock.at,
    // Nothing waits here: a reading that hangs is tried against a real server.
    sleep: (_milliseconds: number, signal?: AbortSignal) =>
      new Promise<void>((_, reject) => signal?.addEventListener("abort", () => reject(new Error("woken")))),
  };
  return { world, clock, folder: bucketFolder(bucket, clock) };
}

test("before a bucket was read, and once its reading is old, it counts as off and permits nothing", async () => {
  const { world, clock, folder } = memoryBucket();
  world.put("owner/on", "on");
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
  const { world, folder } = memoryBucket();
  world.put("owner/on", "on");
  await folder.refresh();
  world.fails = new BucketFailed("denied", "AccessDenied", "Permit it.");
  await folder.refresh();
  const off = readSwitch(folder);
  expect(off).toMatchObject({ on: false, missing: false });
  expect("why" in off && off.why).toContain("AccessDenied");
  world.fails = null;
  await folder.refresh();
  expect(readSwitch(folder).on).toBe(true);
});

test("a switch that was deleted is off at the next reading, and one that was put anew is another one", async () => {
  const { world, folder } = memoryBucket();
  world.put("owner/on", "on");
  await folder.refresh();
  const first = readSwitch(folder);
  world.remove("owner/on");
  world.put("owner/suspended", "maintenance\n");
  await folder.refresh();
  expect(readSwitch(folder)).toEqual({ on: false, why: "maintenance", missing: true });
  world.put("owner/on", "on");
  await folder.refresh();
  const second = readSwitch(folder);
  expect(first.on && second.on && first.inode !== second.inode).toBe(true);
});

test("an approval is looked for once it was asked for, and nothing is ever listed", async () => {
  const { world, folder } = memoryBucket();
  const what = { kind: "fencing", epoch: 1, digest: `sha256:${"0".repeat(64)}` } as const;
  const policy = { people: { alice: "ssh-ed25519 AAAA" }, cluster: "prod-eu-1" };
  world.put("owner/approvals/fencing-1.sig", "no signature");
  await folder.refresh();
  expect(world.asked).toEqual(["owner/policy.yaml", "owner/suspended", "owner/on"]);
  expect(readApprovals(folder, policy, what, null)).toEqual([]);
  world.asked = [];
  await folder.refresh();
  expect(world.asked).toEqual([
    "owner/approvals/fencing-1.sig",
    "owner/approvals/fencing-1.alice.sig",
    "owner/policy.yaml",
    "owner/suspended",
    "owner/on",
  ]);
  expect(readApprovals(folder, policy, what, null)).toMatchObject([{ code: "approval.form", person: null }]);
});

test("without the right to list, a missing approval is answered with a denial: nobody has said yes", async () => {
  const { world, folder } = memoryBucket();
  const what = { kind: "fencing", epoch: 1, digest: `sha256:${"0".repeat(64)}` } as const;
  expect(readApprovals(folder, { people: {}, cluster: "c" }, what, null)).toMatchObject([
    { code: "approval.unreadable" },
  ]);
  world.fails = new BucketFailed("denied", "AccessDenied", "Permit it.");
  await folder.refresh();
  expect(readApprovals(folder, { people: {}, cluster: "c" }, what, null)).toEqual([]);
});

test("one reading serves all who ask while it has not begun, and nobody gets one that began before they asked", async () => {
  const { world, folder } = memoryBucket();
  world.put("owner/on", "on");
  const first = folder.refresh();
  world.remove("owner/on");
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
