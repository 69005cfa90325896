import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { verifyEpochs } from "../../agent/commands/verifyEpochs.ts";
import { realDisk } from "../../agent/host/real.ts";
import { type Authority, authority, scratch, world } from "./world.ts";

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
async function logOf(epoch: number, before: string | null, words: readonly string[]): Promise<Made> {
  const made = await world({ epoch }, {}, ca);
  const first = made.as.first() as Extract<ReturnType<typeof made.as.first>, { kind: "epoch" }>;
  const log = made.open(undefined, { first: () => ({ ...first, before }) });
  const heads = ["", log.checkpoint()];
  for (const why of words) {
    log.append([{ kind: "stopped", why }]);
    heads.push(log.checkpoint());
  }
  log.close();
  return { folder: made.folder, heads };
}
/** They lie as an agent has them: the newest in the folder, the others below it. */
async function looked(older: Readonly<Record<number, string>>, newest: string) {
  const folder = join(base, crypto.randomUUID());
  cpSync(newest, folder, { recursive: true });
  for (const [epoch, from] of Object.entries(older)) cpSync(from, join(folder, `epoch-${epoch}`), { recursive: true });
  const { chain } = await verifyEpochs(realDisk, folder, { ca: ca.certificate.toString("pem") });
  return { exit: chain?.exit, says: chain?.says, joins: chain?.links.map(({ joins }) => joins) };
}

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
