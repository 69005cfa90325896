import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { segmentName } from "../../agent/audit/folder.ts";
import { logKeyBinding, parseCheckpoint } from "../../agent/audit/note.ts";
import type { VerifyExit } from "../../agent/audit/verify/verdict.ts";
import { chainJson, chainLines, verifyEpochs } from "../../agent/commands/verifyEpochs.ts";
import { type Disk, DiskError } from "../../agent/host/host.ts";
import { realDisk } from "../../agent/host/real.ts";
import { AGENT, type Authority, authority, scratch, world } from "./world.ts";

/** Logs of several epochs as one chain: what entry 0 names of the epoch before is held to that epoch's own log. */
let ca: Authority;
let base: string;
beforeAll(async () => {
  ca = await authority("vendor.example root");
  base = scratch();
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

type Made = { readonly folder: string; readonly heads: readonly string[] };
/** A log of an epoch whose entry 0 names `before`; its heads by size. */
async function logOf(epoch: number, before: string | null, words: readonly string[], of = AGENT): Promise<Made> {
  const made = await world({ epoch }, { name: of }, ca);
  const origin = `${of}/epoch/${epoch}`;
  const first = made.as.first() as Extract<ReturnType<typeof made.as.first>, { kind: "epoch" }>;
  const { signature } = made.as.vouch(logKeyBinding(origin, made.firstKey, 0));
  const log = made.open(undefined, { origin, first: () => ({ ...first, origin, signature, before }) });
  const heads = ["", log.checkpoint()];
  for (const why of words) {
    log.append([{ kind: "stopped", why }]);
    heads.push(log.checkpoint());
  }
  log.close();
  return { folder: made.folder, heads };
}
/** They lie as an agent has them: the newest in the folder, the others below it. */
function laid(older: Readonly<Record<number, string>>, newest: string): string {
  const folder = join(base, crypto.randomUUID());
  cpSync(newest, folder, { recursive: true });
  for (const [epoch, from] of Object.entries(older)) cpSync(from, join(folder, `epoch-${epoch}`), { recursive: true });
  return folder;
}
async function looked(older: Readonly<Record<number, string>>, newest: string) {
  const { chain } = await verifyEpochs(realDisk, laid(older, newest), { ca: ca.certificate.toString("pem") });
  return { exit: chain?.exit, says: chain?.says, joins: chain?.links.map(({ joins }) => joins) };
}
/** Three epochs that hang together, as an agent has them. */
async function three(): Promise<{ folder: string; heads: readonly (readonly string[])[] }> {
  const one = await logOf(1, null, ["a", "b"]);
  const two = await logOf(2, one.heads[2] ?? "", ["c"]);
  const newest = await logOf(3, two.heads[2] ?? "", ["d"]);
  return {
    folder: laid({ 1: one.folder, 2: two.folder }, newest.folder),
    heads: [[], one.heads, two.heads, newest.heads],
  };
}
type Json = { exit: number; says: string; damage: { kind: string } | null; epochs: Record<string, unknown>[] };

test("epochs hang together by the head that each names of the one before, also when that one wrote on", async () => {
  const one = await logOf(1, null, ["a", "b"]);
  const two = await logOf(2, one.heads[2] ?? "", ["c"]);
  const three = await logOf(3, two.heads[2] ?? "", ["d"]);
  expect(await looked({ 1: one.folder, 2: two.folder }, three.folder)).toEqual({
    exit: 11,
    says: "one chain of 3 epochs: each begins with the head of the one before",
    joins: ["first", "held", "held"],
  });
});

test("another history of the epoch before, by the same keys' CA, is found, whole as it is in itself", async () => {
  const [one, other] = [await logOf(1, null, ["a", "b"]), await logOf(1, null, ["a", "x"])];
  const two = await logOf(2, one.heads[3] ?? "", ["c"]);
  expect((await looked({ 1: one.folder }, two.folder)).exit).toBe(11);
  expect(await looked({ 1: other.folder }, two.folder)).toEqual({
    exit: 13,
    says: "epoch 2: its entry 0 names another head of the first 3 entries of epoch 1 than they have",
    joins: ["first", "contradicts"],
  });
});

test("an epoch that is not here, or not so far, and one that names none are said, and are not whole", async () => {
  const one = await logOf(1, null, ["a", "b"]);
  const short = await logOf(1, null, []);
  const two = await logOf(2, one.heads[3] ?? "", ["c"]);
  const three = await logOf(3, two.heads[1] ?? "", []);
  expect(await looked({ 1: one.folder }, three.folder)).toMatchObject({ exit: 12, joins: ["first", "unknown"] });
  expect(await looked({ 1: short.folder }, two.folder)).toMatchObject({ exit: 12, joins: ["first", "unknown"] });
  const alone = await logOf(2, null, ["c"]);
  expect(await looked({ 1: one.folder }, alone.folder)).toMatchObject({ exit: 12, joins: ["first", "none"] });
  // A head of a later epoch, or of another cluster's log, is none of an epoch before.
  const turned = await logOf(2, three.heads[1] ?? "", []);
  expect(await looked({ 1: one.folder }, turned.folder)).toMatchObject({ exit: 13, joins: ["first", "contradicts"] });
});

const SEGMENT = segmentName(0);
test.each<[string, (segment: string) => void, VerifyExit, string | null]>([
  ["has a byte before its first line", (at) => writeFileSync(at, `X${readFileSync(at, "utf8")}`), 13, "edited"],
  ["is cut to 20 bytes", (at) => writeFileSync(at, readFileSync(at).subarray(0, 20)), 13, "torn"],
  ["is emptied", (at) => writeFileSync(at, ""), 13, "truncated"],
  ["is deleted and its heads are kept", (at) => rmSync(at), 14, null],
])("the newest log counts when its segment %s", async (_, harm, exit, damage) => {
  const { folder } = await three();
  harm(join(folder, SEGMENT));
  const looked = await verifyEpochs(realDisk, folder, { ca: ca.certificate.toString("pem") });
  expect([looked.chain?.exit, looked.verdict.exit]).toEqual([exit, exit]);
  expect(looked.chain?.says).toStartWith(`the current epoch: ${looked.verdict.says}`);
  const json = chainJson(looked) as Json;
  expect([json.exit, json.damage?.kind ?? null, json.epochs.length]).toEqual([exit, damage, 3]);
  expect(json.epochs[2]).toMatchObject({ epoch: null, exit, damage: json.damage, joins: "unknown" });
});

test("a newest log that cannot be read counts as that, and not as none", async () => {
  const { folder } = await three();
  const shut = join(folder, SEGMENT);
  // Root reads what nobody may: the disk says it in its place.
  const disk: Disk = {
    ...realDisk,
    range(path, from, length) {
      if (path === shut) throw new DiskError("EACCES", path, "permission denied");
      return realDisk.range(path, from, length);
    },
  };
  const { chain } = await verifyEpochs(disk, folder, { ca: ca.certificate.toString("pem") });
  expect([chain?.exit, chain?.says]).toEqual([14, `the current epoch: ${shut} cannot be read (EACCES)`]);
});

test("an older log that is damaged shows with its damage, at its epoch", async () => {
  const { folder } = await three();
  writeFileSync(join(folder, "epoch-1", SEGMENT), "");
  const json = chainJson(await verifyEpochs(realDisk, folder, { ca: ca.certificate.toString("pem") })) as Json;
  expect([json.exit, json.says]).toEqual([13, expect.stringMatching(/^epoch 1: damaged: truncated/)]);
  expect(json.epochs[0]).toMatchObject({ epoch: 1, exit: 13, damage: { kind: "truncated" } });
});

test("a current epoch's log that is not here is said; what is held against another copy is then the newest that is", async () => {
  const { folder, heads } = await three();
  for (const name of readdirSync(folder))
    if (!name.startsWith("epoch-")) rmSync(join(folder, name), { recursive: true });
  const given = { ca: ca.certificate.toString("pem") };
  const gone = await verifyEpochs(realDisk, folder, given);
  expect([gone.chain?.exit, gone.chain?.says]).toEqual([12, "the current epoch's log is not here"]);
  expect((chainJson(gone) as Json).epochs.at(-1)).toMatchObject({ epoch: null, exit: null, says: gone.chain?.says });
  expect(chainLines(gone)).toContain("epoch      the current epoch's log is not here");
  const against = async (note = "") => {
    const at = parseCheckpoint(note);
    if (at === null) throw new Error("no head");
    return (await verifyEpochs(realDisk, folder, { ...given, against: { note, at, name: "the kept head" } })).chain;
  };
  expect(await against(heads[3]?.[2])).toMatchObject({
    exit: 14,
    says: expect.stringMatching(/^epoch 2: the kept head is of another log: .*\/epoch\/3$/),
  });
  expect((await against(heads[2]?.[2]))?.exit).toBe(12);
  // Of epoch 2's log, but more of it than is here.
  const short = await logOf(2, heads[1]?.[2] ?? "", []);
  rmSync(join(folder, "epoch-2"), { recursive: true });
  cpSync(short.folder, join(folder, "epoch-2"), { recursive: true });
  expect((await against(heads[2]?.[2]))?.exit).toBe(14);
});

test("a log lies under its own epoch's number and beside logs of its own cluster, or it is damage", async () => {
  const [one, five] = [await logOf(1, null, ["a"]), await logOf(5, null, ["q"])];
  const two = await logOf(2, one.heads[2] ?? "", ["c"]);
  expect(await looked({ 1: five.folder }, two.folder)).toMatchObject({
    exit: 13,
    says: expect.stringMatching(/^epoch 1: what lies in its place is the log of .*\/epoch\/5$/),
  });
  expect(await looked({ 1: one.folder, 2: one.folder }, two.folder)).toMatchObject({ exit: 13 });
  const given = { ca: ca.certificate.toString("pem") };
  // Fetched as epoch 3, and the log of epoch 2 came.
  expect((await verifyEpochs(realDisk, laid({ 1: one.folder }, two.folder), given, 2)).chain?.exit).toBe(11);
  expect((await verifyEpochs(realDisk, laid({ 1: one.folder }, two.folder), given, 3)).chain?.exit).toBe(13);
  expect((await verifyEpochs(realDisk, two.folder, given, 3)).chain?.exit).toBe(13);
  expect((await verifyEpochs(realDisk, two.folder, given, 2)).chain).toBeNull();
  const foreign = await logOf(1, null, ["a"], "spiffe://vendor.example/cluster/prod-us-1/agent");
  const alone = await logOf(2, null, ["c"]);
  expect(await looked({ 1: foreign.folder }, alone.folder)).toMatchObject({
    exit: 13,
    says: expect.stringMatching(/^epoch 1: it is the log of .*prod-us-1.*, and the newest here is that of .*prod-eu-1/),
  });
});

test("two logs of one epoch are damage, unless one is the beginning of the other", async () => {
  const one = await logOf(1, null, ["a", "b"]);
  const two = await logOf(2, one.heads[2] ?? "", ["c"]);
  const other = await logOf(2, one.heads[3] ?? "", ["x"]);
  expect(await looked({ 1: one.folder, 2: two.folder }, other.folder)).toMatchObject({
    exit: 13,
    says: "epoch 2: two logs of it are here, and neither is shown to be the beginning of the other",
  });
  expect(await looked({ 1: one.folder, 2: two.folder }, two.folder)).toEqual({
    exit: 11,
    says: "one chain of 2 epochs: each begins with the head of the one before",
    joins: ["first", "held", "held"],
  });
});

test("an epoch names the nearest one before it that is here; those between are named, and never taken for nothing", async () => {
  const one = await logOf(1, null, ["a", "b"]);
  const two = await logOf(2, one.heads[2] ?? "", ["c"]);
  const skips = await logOf(3, one.heads[2] ?? "", ["d"]);
  expect(await looked({ 1: one.folder, 2: two.folder }, skips.folder)).toEqual({
    exit: 12,
    says:
      "epoch 3: begins with the head of the first 2 entries of epoch 1 and passes over epoch 2, which is here " +
      "(two enrolments at once, an unfencing, or a log that is kept out of the chain: ask who enrolled it)",
    joins: ["first", "held", "unknown"],
  });
  const never = "(taken away, or never begun: an enrolment that ended before it opened a log leaves none)";
  expect(await looked({ 1: one.folder }, skips.folder)).toEqual({
    exit: 12,
    says: `epoch 3: begins with the head of the first 2 entries of epoch 1; nothing of epoch 2 is here ${never}`,
    joins: ["first", "unknown"],
  });
  const far = await logOf(5, two.heads[1] ?? "", []);
  expect(await looked({ 1: one.folder }, far.folder)).toMatchObject({
    exit: 12,
    says: expect.stringContaining("of epoch 2, which are not all here; nothing of epochs 3 to 4 is here"),
  });
  // What is here of the named one is held to all the same.
  const other = await logOf(1, null, ["a", "x"]);
  expect(await looked({ 1: other.folder }, skips.folder)).toMatchObject({ exit: 13, joins: ["first", "contradicts"] });
});
