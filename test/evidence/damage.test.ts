import { afterAll, beforeAll, expect, test } from "bun:test";
import { checkpointRecord, readCheckpoints } from "../../agent/audit/folder.ts";
import { ed25519Private, parseCheckpoint, parseNote, signNote } from "../../agent/audit/note.ts";
import { type Given, type Verdict, verifyLog } from "../../agent/audit/verify.ts";
import { intent, outcome, refused, started, type World, world } from "../audit/world.ts";
import { type Copy, copyOf, diskOf, fileOf, linesIn, withFile } from "./copy.ts";
import { rewritten } from "./rewrite.ts";
import { OWNER } from "./witness.ts";

/**
 * Every kind of damage, done to a small log of three segments in every place where it can be done: verify names what was done, the file,
 * and the line. Thousands of copies, in memory; the same verify runs in the executable (executable.test.ts).
 */
let w: World;
let whole: Copy;
let segments: string[];
const counted = new Map<string, number>();

beforeAll(async () => {
  w = await world({ segmentBytes: 3500 });
  const log = w.open();
  const [one, two] = [Bun.randomUUIDv7(), Bun.randomUUIDv7()];
  log.append([started]);
  log.append([intent(one), refused(two)]);
  log.append([outcome(one, 2)]);
  for (let n = 0; n < 3; n++) log.append([started]);
  log.append([refused(Bun.randomUUIDv7()), started, refused(Bun.randomUUIDv7())]);
  for (let n = 0; n < 3; n++) log.append([started]);
  log.close();
  whole = copyOf(w.folder);
  segments = [...whole.keys()].filter((name) => name.endsWith(".jsonl")).sort();
  expect(segments.length).toBeGreaterThanOrEqual(3);
  expect((await look(whole, { ca: w.caPem })).exit).toBe(11);
});

afterAll(() => {
  const total = [...counted.values()].reduce((sum, count) => sum + count, 0);
  const each = [...counted].map(([kind, count]) => `${kind} ${count}`).join(", ");
  console.log(`      ${total} damaged copies, each named: ${each}`);
});

function look(copy: Copy, more: Partial<Given> = {}, others: Readonly<Record<string, Copy>> = {}): Promise<Verdict> {
  return verifyLog(diskOf({ "/log": copy, ...others }), "/log", { ca: null, ...more });
}

function first(name: string): number {
  return Number(name.slice(0, 20));
}

type Expected = { kinds: readonly string[]; file: string; index: number };

/** What verify says of a damaged copy must name one of the kinds, the file, and the line, or a range that holds it and is no wider than a group. */
function named(what: string, verdict: Verdict, { kinds, file, index }: Expected): void {
  const { damage } = verdict;
  const said = { what, exit: verdict.exit, kind: damage?.kind, file: damage?.file, says: verdict.says };
  expect(said).toMatchObject({ what, exit: 13, file });
  expect({ ...said, kinds: kinds.includes(damage?.kind ?? "") }).toEqual({ ...said, kinds: true });
  const [from, to] = [damage?.index ?? -1, damage?.to ?? -1];
  expect({
    ...said,
    index,
    from,
    to,
    holds: from <= index && index <= to && (damage?.kind !== "edited" || to - from < 3),
  }).toEqual({
    ...said,
    index,
    from,
    to,
    holds: true,
  });
  counted.set(damage?.kind ?? "", (counted.get(damage?.kind ?? "") ?? 0) + 1);
}

test("whichever byte of a segment is changed, verify says edited, the file, and the line", async () => {
  for (const name of segments) {
    const bytes = whole.get(name) ?? Buffer.alloc(0);
    let line = 0;
    for (const [at, byte] of bytes.entries()) {
      const flipped = Buffer.from(bytes);
      flipped[at] = byte ^ (1 << (at % 8));
      const verdict = await look(withFile(whole, name, flipped));
      // Without its last newline a file ends inside its last line.
      const kinds = byte === 10 && at === bytes.length - 1 ? ["edited", "torn"] : ["edited"];
      named(`${name} byte ${at}`, verdict, { kinds, file: name, index: first(name) + line });
      if (byte === 10) line += 1;
    }
  }
}, 300_000);

test("whichever line is removed, verify says removed, or of the last truncated, and which", async () => {
  for (const name of segments) {
    const lines = linesIn(whole.get(name) ?? Buffer.alloc(0));
    for (let at = 0; at < lines.length; at++) {
      const kinds = at === lines.length - 1 ? ["truncated"] : ["removed"];
      const verdict = await look(withFile(whole, name, fileOf(lines.toSpliced(at, 1))));
      named(`${name} line ${at + 1} removed`, verdict, { kinds, file: name, index: first(name) + at });
    }
  }
});

test("whichever line is doubled, at whichever place, verify says inserted, and where", async () => {
  for (const name of segments) {
    const lines = linesIn(whole.get(name) ?? Buffer.alloc(0));
    for (let from = 0; from < lines.length; from++) {
      for (let at = 0; at <= lines.length; at++) {
        if (at === from) continue;
        const verdict = await look(withFile(whole, name, fileOf(lines.toSpliced(at, 0, lines[from] ?? ""))));
        const what = `${name} line ${from + 1} again at ${at + 1}`;
        // At the very end of the log it can be a line that was moved aside as well: it is beyond every head.
        named(what, verdict, { kinds: ["inserted"], file: name, index: first(name) + at });
      }
    }
  }
}, 120_000);

test("whichever two lines change places, verify says reordered, and the first place", async () => {
  for (const name of segments) {
    const lines = linesIn(whole.get(name) ?? Buffer.alloc(0));
    for (let one = 0; one < lines.length; one++) {
      for (let other = one + 1; other < lines.length; other++) {
        const swapped = lines.with(one, lines[other] ?? "").with(other, lines[one] ?? "");
        const verdict = await look(withFile(whole, name, fileOf(swapped)));
        const what = `${name} lines ${one + 1} and ${other + 1}`;
        named(what, verdict, { kinds: ["reordered"], file: name, index: first(name) + one });
      }
    }
  }
}, 120_000);

test("wherever a segment is cut, verify says truncated, or torn inside a line, and from which entry on", async () => {
  for (const name of segments) {
    const bytes = whole.get(name) ?? Buffer.alloc(0);
    let line = 0;
    for (let length = 0; length < bytes.length; length++) {
      if (length > 0 && bytes[length - 1] === 10) line += 1;
      const inside = length > 0 && bytes[length - 1] !== 10;
      const verdict = await look(withFile(whole, name, bytes.subarray(0, length)));
      const kinds = inside ? ["torn"] : ["truncated"];
      named(`${name} cut to ${length}`, verdict, { kinds, file: name, index: first(name) + line });
    }
  }
}, 300_000);

test("a segment that is gone makes the log incomplete; the last one truncated, for heads cover it", async () => {
  for (const name of segments) {
    const verdict = await look(new Map([...whole].filter(([file]) => file !== name)));
    if (name === segments.at(-1)) {
      expect(verdict).toMatchObject({ exit: 13, damage: { kind: "truncated", index: first(name) } });
    } else {
      const next = first(segments[segments.indexOf(name) + 1] ?? "");
      expect(verdict).toMatchObject({ exit: 12, missing: [{ from: first(name), to: next }] });
    }
  }
});

test("whichever byte of a carry file is changed, verify says so of that file", async () => {
  for (const name of [...whole.keys()].filter((file) => file.endsWith("carry.json"))) {
    const bytes = whole.get(name) ?? Buffer.alloc(0);
    for (let at = 0; at < bytes.length; at += 7) {
      const flipped = bytes.with(at, (bytes[at] ?? 0) ^ 1);
      const verdict = await look(withFile(whole, name, Buffer.from(flipped)));
      named(`${name} byte ${at}`, verdict, { kinds: ["edited"], file: name, index: first(name) });
    }
  }
}, 120_000);

test("whichever byte of a head is changed, verify says so of that file", async () => {
  const bytes = whole.get("checkpoints") ?? Buffer.alloc(0);
  let looked = 0;
  for (let at = 0; at < bytes.length - 2; at += 3) {
    const verdict = await look(withFile(whole, "checkpoints", Buffer.from(bytes.with(at, (bytes[at] ?? 0) ^ 1))));
    expect({ at, exit: verdict.exit, file: verdict.damage?.file, kind: verdict.damage?.kind }).toMatchObject({
      at,
      exit: 13,
      file: expect.stringMatching(/^checkpoints$|jsonl$/),
      kind: expect.stringMatching(/^(edited|reordered|truncated)$/),
    });
    looked += 1;
  }
  counted.set("head", looked);
}, 120_000);

test("without a single head there is nobody who vouches for an entry", async () => {
  const none = await look(new Map([...whole].filter(([name]) => name !== "checkpoints")));
  expect(none).toMatchObject({ exit: 13, damage: { kind: "removed", file: "checkpoints" } });
  const empty = await look(withFile(whole, "checkpoints", Buffer.alloc(0)));
  expect(empty).toMatchObject({ exit: 13, damage: { kind: "removed", file: "checkpoints" } });
});

function notes(): readonly string[] {
  return readCheckpoints(diskOf({ "/log": whole }), "/log").notes;
}

function heads(all: readonly string[]): Buffer {
  return Buffer.from(all.map(checkpointRecord).join(""));
}

test("whichever head of an older segment is signed anew with a later key, verify says resigned, and of which size", async () => {
  const newest = w.as.keys.privateKey(w.as.keys.current);
  if (newest === null) throw new Error("no key");
  const last = first(segments.at(-1) ?? "");
  let looked = 0;
  for (const [at, note] of notes().entries()) {
    const size = Number(note.split("\n")[1]);
    if (size > last) continue;
    const again = signNote(parseNote(note)?.text ?? "", w.as.origin, newest);
    const verdict = await look(withFile(whole, "checkpoints", heads(notes().with(at, again))));
    expect(verdict).toMatchObject({ exit: 13, damage: { kind: "resigned", file: "checkpoints", index: size } });
    looked += 1;
  }
  counted.set("resigned", looked);
  expect(looked).toBeGreaterThan(8);
});

/** The log as it was when it had so many entries. */
function asItWas(size: number): Copy {
  const kept = notes().filter((note) => Number(note.split("\n")[1]) <= size);
  const files = [...whole].flatMap(([name, bytes]): [string, Buffer][] => {
    if (name === "checkpoints") return [[name, heads(kept)]];
    const from = first(name);
    if (!/^\d{20}\./.test(name) || from >= size) return [];
    return name.endsWith(".jsonl") ? [[name, fileOf(linesIn(bytes).slice(0, size - from))]] : [[name, bytes]];
  });
  return new Map(files);
}

test("whichever older copy is put in the log's place, it is whole in itself, and rolled back against a copy or a head that was kept", async () => {
  const newest = notes().at(-1) ?? "";
  const at = parseCheckpoint(newest);
  if (at === null) throw new Error("no head");
  let looked = 0;
  for (const size of notes()
    .map((note) => Number(note.split("\n")[1]))
    .filter((one) => one < at.size)) {
    const old = asItWas(size);
    expect(await look(old, { ca: w.caPem })).toMatchObject({ exit: 11, size, damage: null });
    const rolledBack = { exit: 13, damage: { kind: "rolled-back", index: size, to: at.size - 1 } };
    expect(await look(old, { against: { folder: "/kept" } }, { "/kept": whole })).toMatchObject(rolledBack);
    // The key of a later segment is not known to an older copy: a witness's word is.
    const note = `${newest}${OWNER.line(newest)}`;
    const against = { note, at, name: "kept" };
    expect(await look(old, { against, witnesses: [OWNER] })).toMatchObject(rolledBack);
    looked += 2;
  }
  counted.set("rolled-back", looked);
  expect(looked).toBeGreaterThan(20);
});

test("whoever rewrites an old entry and signs all heads from there on with the key that he has is found out at the first of them", async () => {
  const newest = w.as.keys.privateKey(w.as.keys.current);
  if (newest === null) throw new Error("no key");
  for (const index of [1, 4]) {
    const forged = rewritten(whole, segments, index, w.as.origin, newest, notes());
    const verdict = await look(forged);
    expect(verdict).toMatchObject({ exit: 13 });
    expect(["resigned", "edited"]).toContain(verdict.damage?.kind ?? "");
    expect(verdict.damage?.index).toBeLessThanOrEqual(index + 2);
    // A key of nobody's does no better.
    const stranger = rewritten(whole, segments, index, w.as.origin, ed25519Private(Buffer.alloc(32, 3)), notes());
    expect(await look(stranger)).toMatchObject({ exit: 13, damage: { kind: "edited" } });
  }
});
