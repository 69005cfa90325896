import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Entry } from "../../agent/audit/entry.ts";
import { checksumOf, Manifest, manifestText, readManifest } from "../../agent/wire/manifest.ts";
import { holders, keepManifest, storeManifest } from "../../control/manifest/inventory.ts";
import { clusterAt } from "../../control/revisions/at.ts";
import { revisionsOf } from "../../control/revisions/read.ts";
import { historyText, stateText } from "../../control/revisions/text.ts";
import type { Store } from "../../control/store.ts";
import { newStore } from "../fleet/engine.ts";
import { handIn } from "./planWorld.ts";

const HOUR = 3_600_000;
let store: Store;
beforeEach(async () => {
  store = await newStore();
});
afterEach(() => store.close());

type Kept = { readonly manifest: Manifest; readonly digest: string; readonly note: string };
function release(says: string, image: string, libssl: string): Kept {
  const manifest = Manifest.parse({
    type: "reeve-manifest",
    v: 1,
    says,
    content: {
      agent: null,
      version: "1.0.0",
      images: [
        { name: "broker", digest: `sha256:${image.repeat(64)}`, packages: [`pkg:deb/debian/libssl3@${libssl}`] },
      ],
    },
    parameters: {
      cluster: "c",
      place: { cloud: "aws", account: "1", region: "r" },
      images: { broker: `ami-${image}` },
      groups: { brokers: { image: "broker", count: 3 }, workers: { image: "broker", count: 1 } },
      zones: [],
      authorities: [],
      names: [],
      policy: null,
    },
  });
  const text = manifestText(manifest);
  const read = readManifest(text);
  if ("fault" in read) throw new Error(read.fault);
  return { ...read, note: `${text}\n— nobody AAAA\n` };
}

type Change = { readonly what: string; readonly from: string | null; readonly to: string | null };
type Done = {
  readonly action: "scale" | "update-dns" | "issue-certificate" | "deploy";
  readonly asked: Record<string, string | number | string[]>;
  readonly changed: readonly Change[];
  readonly result?: "succeeded" | "failed" | "unknown";
  /** A changing call that the cloud took. */
  readonly called?: boolean;
  readonly at: number;
};
const common = { v: 1, cluster: "c", epoch: 3 } as const;
/** An intent at `index` and its outcome after it. */
function pair(index: number, { action, asked, changed, result = "succeeded", at, called = false }: Done): Entry[] {
  const command = `0193fd10-0000-7000-8000-${String(index).padStart(12, "0")}`;
  const says = { operator: "somebody", why: "another reason" };
  return [
    {
      ...common,
      index,
      time: new Date(at).toISOString(),
      kind: "intent",
      action,
      asked,
      by: { key: "k", says },
      command,
      digest: `sha256:${"0".repeat(64)}`,
      exp: 0,
      allowed: { policy: `sha256:${"0".repeat(64)}`, rule: "r" },
      found: {},
      resource: "x",
      signed: "",
      csr: null,
    },
    {
      ...common,
      index: index + 1,
      time: new Date(at + 5).toISOString(),
      kind: "outcome",
      command,
      intent: index,
      result,
      code: result === "succeeded" ? null : "x",
      known_by: "answer",
      changed: [...changed],
      operations: called
        ? [{ operation: "x", resource: "y", request: null, status: "ok", milliseconds: 1, changes: true }]
        : [],
      certificate: null,
      details: null,
    },
  ] as Entry[];
}
/** A command as the store holds it, and its two entries. `sent`: whether the vendor sent it at all. */
const hand = (index: number, done: Done, sent = true): Promise<void> =>
  store.transaction(async (sql) => {
    const entries = pair(index, done);
    const { command, digest } = entries[0] as Extract<Entry, { kind: "intent" }>;
    if (sent)
      await sql.run(
        `insert into commands (id, cluster, epoch, resource, jws, digest, exp, state, cancel, replay)
         values ($1, 'c', 3, 'x', $2, $3, 0, 'intent', 0, 0)`,
        command,
        `a.${Buffer.from(JSON.stringify(claims(index, command, done))).toString("base64url")}.c`,
        digest,
      );
    for (const entry of entries) await handIn(sql, "c", entry);
  });
const claims = (index: number, jti: string, { action, asked }: Done) => ({
  ...{ iss: "vendor.example", aud: "spiffe://vendor.example/cluster/c/agent", jti, iat: 1, exp: 2, epoch: 3 },
  ...{ by: "maria", why: `INC-${index}`, dry_run: false, action, args: asked },
});
const lines = (): Promise<Awaited<ReturnType<typeof revisionsOf>>> => store.transaction((sql) => revisionsOf(sql, "c"));

test("each change of a cluster is its next revision, with who, why and the log's index; what changed nothing is none", async () => {
  const now = Date.now();
  await store.transaction((sql) => keepManifest(sql, release("one", "1", "3.0.11"), "ops", "first"));
  const count = { what: "count", from: "3", to: "5" };
  await hand(10, { action: "scale", asked: { group: "brokers", count: 5 }, changed: [count], at: now - HOUR });
  await hand(12, { action: "scale", asked: { group: "brokers", count: 5 }, changed: [], at: now - HOUR });
  const record = { zone: "z", name: "b0.example.com", type: "A", change: "create", values: ["10.0.0.1"], ttl: 60 };
  await hand(14, {
    action: "update-dns",
    asked: record,
    changed: [{ what: "b0.example.com A", from: null, to: "10.0.0.1" }],
    at: now,
  });
  const issued = { what: "certificate", from: null, to: "serial-1" };
  await hand(16, {
    action: "issue-certificate",
    asked: { authority: "ca", csr_sha256: "0".repeat(64), usages: ["server"], validity: 60 },
    changed: [issued],
    at: now,
  });
  await hand(18, {
    action: "scale",
    asked: { group: "brokers", count: 9 },
    changed: [{ ...count, from: "5", to: "7" }],
    result: "failed",
    at: now,
  });
  await hand(20, { action: "scale", asked: { group: "workers", count: 2 }, changed: [], result: "unknown", at: now });
  const rows = await lines();
  expect(rows.map(({ position, action, result, epoch, entry }) => [position, action, result, epoch, entry])).toEqual([
    [6, "scale", "unknown", 3, 21],
    [5, "scale", "failed", 3, 19],
    [4, "issue-certificate", "succeeded", 3, 17],
    [3, "update-dns", "succeeded", 3, 15],
    [2, "scale", "succeeded", 3, 11],
    [1, "import", "succeeded", null, null],
  ]);
  expect(rows[4]).toMatchObject({ said_by: "maria", why: "INC-10", changed: [count] });
  // Nobody can tell what the unknown one left; what failed half way left what it says.
  expect(rows[0]?.groups).toEqual({
    brokers: { image: "ami-1", count: 7 },
    workers: { image: "ami-1", count: null },
  });
  expect(rows.every((row, at) => at === 0 || row.at <= (rows[at - 1]?.at ?? 0))).toBe(true);
  const text = historyText(rows);
  expect(text).toMatch(/^6 .*scale workers to 2 \(unknown\) +3\/21 +maria +INC-20$/m);
  expect(text).toMatch(/^2 .*scale brokers to 5 +3\/11 +maria +INC-10$/m);
});

test("a cluster is at a manifest once each of its groups is, and the inventory follows; what it was before stays known", async () => {
  const [one, two] = [release("one", "1", "3.0.11"), release("two", "2", "3.0.15")];
  await store.transaction(async (sql) => {
    await keepManifest(sql, one, "ops", "first");
    await storeManifest(sql, two);
  });
  const now = Date.now();
  const deploy = (index: number, group: string, at: number): Promise<void> =>
    hand(index, {
      action: "deploy",
      asked: { group, manifest: two.digest },
      changed: [{ what: `${group} image`, from: "ami-1", to: "ami-2" }],
      at,
    });
  const held = async (version: string): Promise<number> =>
    (await store.transaction((sql) => holders(sql, "libssl3", version))).length;
  await deploy(10, "brokers", now + HOUR);
  expect((await lines())[0]).toMatchObject({ digest: one.digest, groups: { brokers: { image: "ami-2" } } });
  expect(await held("3.0.11")).toBe(1);
  await deploy(12, "workers", now + HOUR);
  const newest = (await lines())[0];
  expect(newest).toMatchObject({ digest: two.digest, groups: { workers: { image: "ami-2" } } });
  // A machine whose clock is ahead does not put its changes where nobody looks yet.
  expect(newest?.at).toBeLessThanOrEqual(Math.floor(Date.now() / 1000));
  expect([await held("3.0.11"), await held("3.0.15")]).toEqual([0, 1]);
  const found = await store.transaction((sql) => clusterAt(sql, "c", Math.floor(Date.now() / 1000)));
  expect(found).toMatchObject({ checksum: checksumOf(two.manifest.content), note: two.note });
  if (found === null) throw new Error("nothing was known");
  expect(stateText(found.newest, found.checksum, found.state)).toContain("group     workers: 1 of ami-2\n");
  expect(await store.transaction((sql) => clusterAt(sql, "c", 1_000_000))).toBeNull();
});

test("records that were set and taken away, and certificates that were issued, are the state of their time", async () => {
  const set = (index: number, name: string, change: string, values: string[]): Promise<void> =>
    hand(index, {
      action: "update-dns",
      asked: { zone: "z", name, type: "A", change, values, ttl: 60 },
      changed: [{ what: name, from: null, to: values.join(" ") }],
      at: Date.now(),
    });
  await set(10, "a.example.com", "create", ["10.0.0.1"]);
  await set(12, "b.example.com", "create", ["10.0.0.2"]);
  await set(14, "a.example.com", "delete", []);
  const found = await store.transaction((sql) => clusterAt(sql, "c", Math.floor(Date.now() / 1000)));
  expect(found?.state.records).toEqual({ "z/b.example.com A": { values: ["10.0.0.2"], ttl: 60 } });
  expect(found).toMatchObject({ checksum: null, note: null, newest: { digest: null } });
});

test("a scale, a record and a certificate are revisions of the same signed content, and each of them has it whole, down to its libraries", async () => {
  const one = release("one", "1", "3.0.11");
  await store.transaction((sql) => keepManifest(sql, one, "ops", "first"));
  const begin = Date.now();
  const changes: readonly Pick<Done, "action" | "asked">[] = [
    { action: "scale", asked: { group: "brokers", count: 5 } },
    {
      action: "update-dns",
      asked: { zone: "z", name: "a.example.com", type: "A", change: "create", values: ["10.0.0.1"], ttl: 60 },
    },
    {
      action: "issue-certificate",
      asked: { authority: "ca", csr_sha256: "0".repeat(64), usages: ["server"], validity: 60 },
    },
  ];
  for (const [n, { action, asked }] of changes.entries()) {
    const to = { what: action, from: null, to: "x" };
    await hand(10 + 2 * n, { action, asked, changed: [to], at: begin });
    const found = await store.transaction((sql) => clusterAt(sql, "c", Math.floor(Date.now() / 1000)));
    expect(found?.newest).toMatchObject({ action, position: n + 2, digest: one.digest });
    expect(found).toMatchObject({ manifest: one.manifest, checksum: checksumOf(one.manifest.content) });
  }
  const { state } = (await store.transaction((sql) => clusterAt(sql, "c", Math.floor(Date.now() / 1000)))) ?? {};
  expect(state).toMatchObject({
    groups: { brokers: { count: 5 } },
    records: { "z/a.example.com A": { values: ["10.0.0.1"] } },
    certificates: { ca: { issued: 1 } },
  });
});

test("a deploy that was taken back is a revision that leaves the groups as they were; one that was never begun is none", async () => {
  await store.transaction((sql) => keepManifest(sql, release("one", "1", "3.0.11"), "ops", "first"));
  const failed = {
    action: "deploy",
    asked: { group: "brokers", manifest: `sha256:${"9".repeat(64)}` },
    changed: [],
    result: "failed",
  } as const;
  await hand(10, { ...failed, at: Date.now() });
  expect((await lines()).length).toBe(1);
  await hand(12, { ...failed, at: Date.now(), called: true });
  const [newest, before] = await lines();
  expect(newest).toMatchObject({ action: "deploy", result: "failed", entry: 13, digest: before?.digest ?? null });
  expect(newest?.groups).toEqual(before?.groups ?? {});
});

test("what an agent says of a command that was never sent, or says twice, is no revision; and the words are the vendor's own", async () => {
  const scale = { action: "scale", asked: { group: "brokers", count: 5 }, at: Date.now() } as const;
  const changed = [{ what: "count", from: "3", to: "5" }];
  await hand(10, { ...scale, changed }, false);
  expect(await lines()).toEqual([]);
  await hand(12, { ...scale, changed });
  expect(await lines()).toMatchObject([{ said_by: "maria", why: "INC-12", asked: { group: "brokers", count: 5 } }]);
  const [intent, outcome] = pair(12, { ...scale, changed });
  await store.transaction(async (sql) => {
    if (intent === undefined || outcome === undefined) throw new Error("no entries");
    await handIn(sql, "c", { ...intent, index: 20 });
    await handIn(sql, "c", { ...outcome, index: 21, intent: 20 } as Entry);
  });
  expect((await lines()).length).toBe(1);
});
