import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Browser } from "playwright-core";
import { cosign, cosignerText } from "../../agent/audit/cosignature.ts";
import type { EntryBody } from "../../agent/audit/entry.ts";
import { COSIGNED, checkpointRecord, readCheckpoints } from "../../agent/audit/folder.ts";
import {
  ed25519Private,
  ed25519Public,
  logKeyBinding,
  parseCheckpoint,
  parseNote,
  signBinding,
} from "../../agent/audit/note.ts";
import { realDisk } from "../../agent/host/real.ts";
import { logKeyOf } from "../../agent/identity/keys.ts";
import { AGENT, type World, world } from "../audit/world.ts";
import { copyOf } from "../evidence/copy.ts";
import { rewritten } from "../evidence/rewrite.ts";
import { scaled, story } from "./log.ts";
import { beside, browser, clear, endServers, look, open, PATIENCE_MS, serve, wordsOf } from "./stage.ts";

setDefaultTimeout(6 * PATIENCE_MS);
const ENTRIES = 300;
let own: Browser;

beforeAll(async () => {
  own = await browser();
});
afterAll(async () => {
  await own?.close();
  await endServers();
});

/** A log in several segments, closed. */
async function written(): Promise<World> {
  const w = await world({ segmentBytes: 32 * 1024 });
  const log = w.open();
  story(log);
  for (let round = 0; log.size < ENTRIES; round++) scaled(log, 3 + (round % 4), 4 + (round % 4));
  log.close();
  expect(segmentsOf(w).length).toBeGreaterThan(3);
  return w;
}

function segmentsOf(w: World): string[] {
  return readdirSync(w.folder)
    .filter((name) => name.endsWith(".jsonl"))
    .sort();
}

function edit(w: World, name: string, change: (text: string) => string): void {
  const path = join(w.folder, name);
  const before = readFileSync(path, "utf8");
  const after = change(before);
  expect(after).not.toBe(before);
  writeFileSync(path, after);
}

type Said = { readonly state: string | null; readonly words: string; readonly marks: (string | null)[] };

/** What the page says of the log, and how it marks the lines of the newest command. */
async function said(w: World, more: readonly string[] = []): Promise<Said> {
  const served = await serve(["--log", w.folder, ...more]);
  const seen = await look(own);
  const { page } = seen;
  await open(seen, served);
  const verdict = page.locator("#verdict");
  if (await verdict.locator("details:not([open])").isVisible()) await verdict.locator("summary").click();
  await page.locator(".row[data-state=succeeded] summary").first().click();
  const marks = page.locator(".row[data-state=succeeded] .mark");
  await page.locator(".row[data-state=succeeded] .mark[data-asked]").nth(1).waitFor();
  const found = {
    state: await verdict.getAttribute("data-state"),
    words: await wordsOf(verdict),
    marks: await marks.evaluateAll((all) => all.map((mark) => mark.getAttribute("data-checked"))),
  };
  expect(seen.complaints).toEqual([]);
  await seen.context.close();
  await served.stop();
  return found;
}

test("a whole log in several segments is whole in the browser, and the page says under whose CA", async () => {
  const w = await written();
  const ca = beside(w.folder, "ca.pem", w.caPem);
  const whole = await said(w, ["--ca", ca]);
  expect(whole.state).toBe("unwitnessed");
  expect(whole.words).toContain("Vouched for by CN=vendor.example root, SHA-256");
  expect(whole.words).toContain("Witnessed by nobody");
  expect(whole.words).toMatch(/30\d entries were read and hashed here/);
  expect(whole.words).toContain(`signed by ${segmentsOf(w).length} keys, each in its range`);
  expect(whole.marks).toEqual(["yes", "yes"]);
  const alone = await said(w);
  expect(alone.state).toBe("unvouched");
  expect(alone.words).toContain("nobody: no CA was given");
  const stranger = await world();
  const other = await said(w, ["--ca", beside(w.folder, "other.pem", stranger.caPem)]);
  expect(other.state).toBe("unvouched");
  expect(other.words).toContain("does not lead to this CA");
  clear(w.folder);
});

test("one byte of one line is seen, and the entry from which on nothing can be relied on is named", async () => {
  const w = await written();
  const ca = beside(w.folder, "ca.pem", w.caPem);
  const [, second] = segmentsOf(w);
  edit(w, second ?? "", (text) => text.replace('"why":"INC-4312"', '"why":"INC-4313"'));
  const damaged = await said(w, ["--ca", ca]);
  expect(damaged.state).toBe("damaged");
  const [, from, to] = /entries (\d+) to (\d+) are not those that the head/.exec(damaged.words) ?? [];
  expect(Number(from)).toBeGreaterThanOrEqual(Number(second?.slice(0, 20)));
  expect(Number(to)).toBeLessThan(Number(second?.slice(0, 20)) + 20);
  // The newest command lies behind the damage: its lines were not checked, and are not called so.
  expect(damaged.marks).toEqual(["pending", "pending"]);
  clear(w.folder);
});

test("a log that was cut, or signed by another key, or has heads that are none, is damaged", async () => {
  const cut = await written();
  edit(cut, segmentsOf(cut).at(-1) ?? "", (text) => `${text.trimEnd().split("\n").slice(0, -1).join("\n")}\n`);
  const shorter = await said(cut);
  expect([shorter.state, /the log ends here, and its newest head covers \d+ entries/.test(shorter.words)]).toEqual([
    "damaged",
    true,
  ]);
  clear(cut.folder);
  const resigned = await written();
  edit(resigned, "checkpoints", (text) => {
    const at = text.lastIndexOf("\u2014 ");
    const [dash, name, signature] = text.slice(at).trimEnd().split(" ");
    const bytes = Buffer.from(signature ?? "", "base64");
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    return `${text.slice(0, at)}${dash} ${name} ${bytes.toString("base64")}\n\n`;
  });
  const forged = await said(resigned);
  expect([forged.state, forged.words.includes("is not signed by the key that may sign it")]).toEqual(["damaged", true]);
  clear(resigned.folder);
  const broken = await written();
  edit(broken, "checkpoints", (text) => text.replace("\ntime ", "\ntame "));
  const note = await said(broken);
  expect([note.state, note.words.includes("in the files of heads is no head")]).toEqual(["damaged", true]);
  clear(broken.folder);
});

test("a log without a head, or with a segment that names no key, is damaged; what no head covers is said", async () => {
  const w = await written();
  const ca = beside(w.folder, "ca.pem", w.caPem);
  const notes = readCheckpoints(realDisk, w.folder).notes;
  const last = segmentsOf(w).at(-1) ?? "";
  // Heads that end before the last entries hold nothing of them.
  const older = notes.at(-3) ?? "";
  const { size } = parseCheckpoint(older) ?? { size: 0 };
  edit(w, "checkpoints", () => checkpointRecord(older));
  const uncovered = await said(w, ["--ca", ca]);
  expect(uncovered.words).toContain(`No signed head that holds covers those from entry ${size} on`);
  edit(w, "checkpoints", () => "");
  const headless = await said(w, ["--ca", ca]);
  expect(headless.state).toBe("damaged");
  expect(headless.words).toContain("there is no signed head: nobody vouches for a single entry");
  // A gap, and behind it lines that nothing ties to what was signed.
  writeFileSync(join(w.folder, "checkpoints"), checkpointRecord(notes.at(-1) ?? ""));
  const [, second = ""] = segmentsOf(w);
  rmSync(join(w.folder, second));
  edit(w, last, (text) => text.split("\n").slice(1).join("\n"));
  const unnamed = await said(w, ["--ca", ca]);
  expect(unnamed.state).toBe("damaged");
  expect(unnamed.words).toContain("a segment begins without the line that names its key");
  clear(w.folder);
});

test("segments that are not there are said, with the entries that they held", async () => {
  const w = await written();
  const [, second = "", third = ""] = segmentsOf(w);
  rmSync(join(w.folder, second));
  const gap = await said(w, ["--ca", beside(w.folder, "ca.pem", w.caPem)]);
  expect(gap.state).toBe("incomplete");
  expect(gap.words).toContain(`Missing ${Number(second.slice(0, 20))} to ${Number(third.slice(0, 20)) - 1}`);
  clear(w.folder);
});

test("older segments may be away: the rest is held to the frontier and the key that its first line names, under the same CA", async () => {
  const w = await written();
  const [first = "", second = "", third = ""] = segmentsOf(w);
  for (const name of [first, second]) rmSync(join(w.folder, name));
  const rest = await said(w, ["--ca", beside(w.folder, "ca.pem", w.caPem)]);
  expect(rest.state).toBe("incomplete");
  expect(rest.words).toContain(`Missing 0 to ${Number(third.slice(0, 20)) - 1}`);
  expect(rest.words).toContain("Vouched for by CN=vendor.example root");
  expect(rest.words).toContain(`signed by ${segmentsOf(w).length} keys, each in its range`);
  expect(rest.marks).toEqual(["yes", "yes"]);
  clear(w.folder);
});

test("what today's key signs anew of yesterday's entries is damage: a key signs heads of its own range only", async () => {
  const w = await written();
  const { log_key } = JSON.parse(readFileSync(join(dirname(w.folder), "keys.json"), "utf8")) as { log_key: string };
  const notes = readCheckpoints(realDisk, w.folder).notes;
  const forged = rewritten(copyOf(w.folder), segmentsOf(w), 8, w.as.origin, logKeyOf(log_key).privateKey, notes);
  for (const [name, bytes] of forged) writeFileSync(join(w.folder, name), bytes);
  const resigned = await said(w, ["--ca", beside(w.folder, "ca.pem", w.caPem)]);
  expect(resigned.state).toBe("damaged");
  expect(resigned.words).toMatch(/the head of \d+ entries is not signed by the key that may sign it/);
  clear(w.folder);
});

test("the page says up to which entry each witness cosigned, and takes no cosignature that is not good", async () => {
  const w = await written();
  const ca = beside(w.folder, "ca.pem", w.caPem);
  const key = ed25519Private(Buffer.alloc(32, 9));
  const verifier = cosignerText({ name: "witness.example", publicKey: new Uint8Array(ed25519Public(key)) });
  const notes = readCheckpoints(realDisk, w.folder).notes;
  const note = notes.at(-1) ?? "";
  const before = notes.at(-3) ?? "";
  const text = parseNote(note)?.text ?? "";
  const size = parseCheckpoint(note)?.size ?? 0;
  const line = cosign(text, "witness.example", key, 1_795_000_000);
  writeFileSync(join(w.folder, COSIGNED), checkpointRecord(note + line));
  const seen = await said(w, ["--ca", ca, "--witness", verifier]);
  const late = cosign(parseNote(before)?.text ?? "", "witness.example", key, 1_795_000_000);
  expect(seen.state).toBe("witnessed");
  expect(seen.words).toContain(`witness.example: up to entry ${size - 1}, at 2026-11-18`);
  const control = await said(w, ["--ca", ca, "--control-witness", verifier]);
  expect(control.state).toBe("control-plane");
  expect(control.words).toContain("witnessed by the control plane only");
  // It has not seen all of it: the newest could have been cut off.
  writeFileSync(join(w.folder, COSIGNED), checkpointRecord(before + late));
  const behind = await said(w, ["--ca", ca, "--witness", verifier]);
  expect(behind.state).toBe("unwitnessed");
  expect(behind.words).toContain(`witness.example: up to entry ${(parseCheckpoint(before)?.size ?? 0) - 1}`);
  const wrong = line.replace(
    / (\S{12})(\S+)\n$/,
    (_, start: string, rest: string) => ` ${start}${rest.replace(/^./, (char) => (char === "A" ? "B" : "A"))}\n`,
  );
  expect(wrong).not.toBe(line);
  writeFileSync(join(w.folder, COSIGNED), checkpointRecord(note + wrong));
  const unseen = await said(w, ["--ca", ca, "--witness", verifier]);
  expect(unseen.state).toBe("unwitnessed");
  expect(unseen.words).toContain("witness.example: nothing yet");
  clear(w.folder);
});

test("a key is vouched for only by a certificate of this agent that signed it, while it was valid", async () => {
  const wrongs: readonly (readonly [string, Promise<World>])[] = [
    ["the certificate did not sign the log's key", world()],
    [
      "the certificate is of spiffe://vendor.example/cluster/other/agent",
      world({}, { name: AGENT.replace("prod-eu-1", "other") }),
    ],
    ["or was not valid then", world({}, { notAfter: new Date(Date.now() - 1000) })],
  ];
  for (const [at, [because, made]] of wrongs.entries()) {
    const w = await made;
    const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const first = w.as.first() as Extract<EntryBody, { kind: "epoch" }>;
    const signature = at === 0 ? signBinding(logKeyBinding(w.as.origin, w.firstKey, 0), stranger) : first.signature;
    const log = w.open(undefined, { first: () => ({ ...first, signature }) });
    story(log);
    log.close();
    const words = await said(w, ["--ca", beside(w.folder, "ca.pem", w.caPem)]);
    expect([because, words.state, words.words.includes(because)]).toEqual([because, "unvouched", true]);
    clear(w.folder);
  }
});
