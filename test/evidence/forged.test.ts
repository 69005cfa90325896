import { expect, test } from "bun:test";
import { hash, type KeyObject } from "node:crypto";
import { Entry } from "../../agent/audit/entry.ts";
import { carryDigest, carryName, carryText, checkpointRecord, readCheckpoints } from "../../agent/audit/folder.ts";
import { loadLog } from "../../agent/audit/load.ts";
import { LogDamaged } from "../../agent/audit/log.ts";
import { signHandover } from "../../agent/audit/logKeys.ts";
import { emptyMemory, fold } from "../../agent/audit/memory.ts";
import { checkpointText, ed25519Private, ed25519Public, signNote } from "../../agent/audit/note.ts";
import { timeText } from "../../agent/audit/time.ts";
import { emptyTree, grow, leafHash, rootOfTree, type Tree } from "../../agent/audit/tree.ts";
import { type Given, verifyLog } from "../../agent/audit/verify.ts";
import { newCheck } from "../../agent/ui/page/check.ts";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { started, type World, world } from "../audit/world.ts";
import { type Copy, copyOf, diskOf, fileOf, linesIn, withFile } from "./copy.ts";

/** What whoever holds the folder, and at most today's log key, could write in the place of what was signed before. */
async function filled(): Promise<{ w: World; whole: Copy; segments: string[] }> {
  const w = await world({ segmentBytes: 4000 });
  const log = w.open();
  while (log.segments().length < 5) log.append([started]);
  log.append([started]);
  log.close();
  const whole = copyOf(w.folder);
  return { w, whole, segments: [...whole.keys()].filter((name) => name.endsWith(".jsonl")).sort() };
}

function look(copy: Copy, given: Partial<Given>) {
  return verifyLog(diskOf({ "/log": copy }), "/log", { ca: null, ...given });
}

/** What the page's own reader says of a copy. */
async function shown(copy: Copy, ca: string) {
  const disk = diskOf({ "/log": copy });
  const names = [...copy.keys()].filter((name) => name.endsWith(".jsonl")).sort();
  const segments = names.map((name) => Number(name.slice(0, 20)));
  const check = newCheck({ notes: readCheckpoints(disk, "/log").notes, bad: false, segments, ca, witnesses: [] });
  try {
    for (const name of names) {
      const lines = linesIn(copy.get(name) ?? Buffer.alloc(0)).map((line) => Buffer.from(line));
      await check.begin(Number(name.slice(0, 20)), lines[0] ?? Buffer.alloc(0));
      for (const line of lines) await check.take(line);
    }
    return await check.end();
  } catch (error) {
    return check.verdictOf(error);
  }
}

/** Every `started` entry written anew, with all that follows from it, and one head by today's key. */
function rewrittenBy({ as }: World, whole: Copy, segments: readonly string[]): Copy {
  const key = as.keys.privateKey(as.keys.current);
  if (key === null) throw new Error("today's key is held");
  const forged = new Map([...whole].filter(([name]) => !name.startsWith(".leaves/") && name !== "checkpoints"));
  const [tree, memory] = [emptyTree(), emptyMemory(null)];
  let time = 0;
  for (const name of segments) {
    const lines = linesIn(whole.get(name) ?? Buffer.alloc(0)).map((line) => {
      let entry = Entry.parse(JSON.parse(line));
      if (entry.kind === "started") entry = { ...entry, version: "0.6.6" };
      if (entry.kind === "segment") {
        const carry = carryText({ tree, memory });
        forged.set(carryName(entry.index), Buffer.from(carry));
        const peaks = tree.peaks.map((peak) => peak.toString("base64"));
        entry = { ...entry, peaks, carry: carryDigest(carry) };
      }
      const forgedLine = canonical(entry as unknown as Json);
      grow(tree, leafHash(forgedLine));
      fold(memory, entry);
      time = memory.newest;
      return forgedLine;
    });
    forged.set(name, fileOf(lines));
  }
  const text = checkpointText({ origin: as.origin, size: tree.size, root: rootOfTree(tree), time });
  return forged.set("checkpoints", Buffer.from(checkpointRecord(signNote(text, as.origin, key))));
}

test("who holds today's log key cannot write what older keys signed anew: each key handed over with the root of all before it", async () => {
  const { w, whole, segments } = await filled();
  expect(await look(whole, { ca: w.caPem })).toMatchObject({ exit: 11 });
  expect(await shown(whole, w.caPem)).toMatchObject({ state: "whole", damage: null });
  const forged = rewrittenBy(w, whole, segments);
  expect(await look(forged, { ca: w.caPem })).toMatchObject({
    exit: 13,
    damage: { kind: "edited", file: segments[1], line: 1, what: "segment" },
  });
  expect(await shown(forged, w.caPem)).toMatchObject({
    state: "damaged",
    damage: { index: Number(segments[1]?.slice(0, 20)) },
  });
});

test("a carry file of the right digest that holds no carry is damage for verify, and for the agent that starts: neither falls over it", async () => {
  const { w, whole, segments } = await filled();
  const last = Number(segments.at(-1)?.slice(0, 20));
  const { content } = JSON.parse(whole.get(carryName(last))?.toString("utf8") ?? "");
  const { ids: _, ...noIds } = content.memory;
  const { newest: __, ...noTime } = content.memory;
  const tampered: Json[] = [
    { ...content, tree: { ...content.tree, peaks: [] } },
    { ...content, tree: { ...content.tree, peaks: content.tree.peaks.map(() => "AAAA") } },
    { ...content, tree: null },
    { ...content, tree: { peaks: 5, size: last } },
    { ...content, memory: null },
    { ...content, memory: noIds },
    { ...content, memory: noTime },
    { ...content, memory: { ...content.memory, open: [null] } },
    { ...content, memory: { ...content.memory, counts: null } },
    null,
  ];
  const files = tampered.map((one) => canonical({ content: one, sha256: hash("sha256", canonical(one), "hex") }));
  for (const file of [...files, "null", "5", "[]"]) {
    const copy = withFile(whole, carryName(last), Buffer.from(file));
    const verdict = await look(copy, { ca: w.caPem });
    expect({ file, verdict }).toMatchObject({
      verdict: { exit: 13, damage: { file: carryName(last), what: "carry", index: last } },
    });
    const alone = new Map([...copy].filter(([name]) => !segments.slice(0, -1).includes(name)));
    expect(() => loadLog(diskOf({ "/log": alone }), "/log", null, null)).toThrow(LogDamaged);
  }
});

/** Without the first segment, and the second one's first line another; `head` is the only one. */
function forgedStart(whole: Copy, segments: readonly string[], line: string, head: string): Copy {
  const [, second = ""] = segments;
  const forged = new Map([...whole].filter(([name]) => !segments.includes(name) && !name.startsWith(".leaves/")));
  return forged.set(second, fileOf([line])).set("checkpoints", Buffer.from(checkpointRecord(head)));
}

test("a log without its oldest segment is not forged with a key of one's own: only a line that names its key, and a head of that key, begin it", async () => {
  const { w, whole, segments } = await filled();
  const [first = "", second = ""] = segments;
  const index = Number(second.slice(0, 20));
  const evil = ed25519Private(Buffer.alloc(32, 7));
  const evilKey = ed25519Public(evil).toString("base64");
  const begun = { origin: w.as.origin, key: evilKey, from: 0 };
  const [tree, memory] = [emptyTree(), emptyMemory(null)];
  for (const line of linesIn(whole.get(first) ?? Buffer.alloc(0))) {
    const entry = Entry.parse(JSON.parse(line));
    const forged = entry.kind === "started" ? line.replace('"0.1.0"', '"0.6.6"') : line;
    grow(tree, leafHash(forged));
    fold(memory, Entry.parse(JSON.parse(forged)));
  }
  const headOf = (of: Tree, key: KeyObject): string =>
    signNote(
      checkpointText({ origin: w.as.origin, size: of.size, root: rootOfTree(of), time: Date.now() }),
      w.as.origin,
      key,
    );
  const carry = carryText({ tree, memory: { ...memory, logKey: begun } });
  const common = { v: 1, index, cluster: w.as.cluster, epoch: 1, time: timeText(memory.newest) };

  // An ordinary line, with entry 0 and the key out of the carry file.
  const ordinary = canonical({ ...started, ...common } as unknown as Json);
  const grown: Tree = { size: tree.size, peaks: [...tree.peaks] };
  grow(grown, leafHash(ordinary));
  const byCarry = forgedStart(whole, segments, ordinary, headOf(grown, evil));
  const named = await look(withFile(byCarry, carryName(index), Buffer.from(carry)), { ca: w.caPem });
  expect(named).toMatchObject({ exit: 13, vouched: null, damage: { file: second, line: 1, what: "segment" } });
  expect(await shown(byCarry, w.caPem)).toMatchObject({ state: "damaged", damage: { index } });

  // The true line's key, chain and signature, over another past: the key before it is the forger's word, and its head covers nothing that is here.
  const genuine = Entry.parse(JSON.parse(linesIn(whole.get(second) ?? Buffer.alloc(0))[0] ?? ""));
  if (genuine.kind !== "segment") throw new Error("a segment begins with its line");
  const forged = {
    ...genuine,
    peaks: tree.peaks.map((peak) => peak.toString("base64")),
    carry: carryDigest(carry),
    before: { key: evilKey, from: 0 },
    handed: signHandover({ origin: w.as.origin, from: index, key: genuine.key, root: rootOfTree(tree) }, evil),
  };
  const byLine = forgedStart(whole, segments, canonical(forged as unknown as Json), headOf(tree, evil));
  const unsigned = await look(withFile(byLine, carryName(index), Buffer.from(carry)), { ca: w.caPem });
  expect(unsigned).toMatchObject({ exit: 13, damage: { kind: "removed", file: "checkpoints", index } });
  expect(await shown(byLine, w.caPem)).toMatchObject({ state: "damaged" });
});
