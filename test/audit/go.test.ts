import { beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { verifierKey } from "../../agent/audit/note.ts";
import { inclusionProof, leafHash } from "../../agent/audit/tree.ts";
import { realDisk } from "../../agent/host/real.ts";
import { programPath, requireDebian } from "../tools.ts";
import { scratch, started, type World, world } from "./world.ts";

/** The log held to golang.org/x/mod (sumdb/note, sumdb/tlog), built from the Go proxy. */
const GO = "/usr/local/go/bin/go";
let check = "";

beforeAll(() => {
  if (!existsSync(GO)) requireDebian({ go: "golang-go" });
  const go = existsSync(GO) ? GO : (programPath("go") ?? "go");
  const folder = join(scratch(), "go");
  cpSync(join(import.meta.dir, "go"), folder, { recursive: true });
  const built = spawnSync(go, ["build", "-o", "check", "."], { cwd: folder, encoding: "utf8", timeout: 240_000 });
  if (built.status !== 0) throw new Error(`Cannot build the Go program: ${built.stderr}`);
  check = join(folder, "check");
}, 300_000);

async function rotated(): Promise<World> {
  const w = await world({ segmentBytes: 3000 });
  const log = w.open();
  for (let n = 0; n < 30; n++) log.append([started]);
  log.close();
  return w;
}

function linesIn(w: World): string[] {
  return realDisk
    .list(w.folder)
    .filter((name) => name.endsWith(".jsonl"))
    .flatMap((name) => readFileSync(join(w.folder, name), "utf8").trimEnd().split("\n"));
}

/** Each segment's key and its range, out of the lines alone. */
function keysIn(w: World): string[] {
  return linesIn(w)
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => kind === "epoch" || kind === "segment")
    .map(({ index, key, log_keys }) => {
      const raw = Buffer.from(key ?? log_keys[0].key, "base64");
      return `${index}=${verifierKey(w.as.origin, raw)}`;
    });
}

function run(w: World, index: number, keys = keysIn(w)) {
  return spawnSync(check, [keys.join(" "), w.folder, String(index)], { encoding: "utf8" });
}

test("Go's note and tlog agree with every checkpoint, every root, and an inclusion proof", async () => {
  const w = await rotated();
  const lines = linesIn(w);
  expect(keysIn(w).length).toBeGreaterThan(3);
  for (const index of [0, 17, 30]) {
    const done = run(w, index);
    expect(done.stderr).toBe("");
    const proof = inclusionProof(lines.map(leafHash), index).map((hash) => ` ${hash.toString("base64")}`);
    expect(done.stdout).toBe(
      `${lines.length} lines, ${lines.length} checkpoints, proof of ${index}:${proof.join("")}\n`,
    );
  }
});

test("Go's note refuses a head by a key of another segment", async () => {
  const w = await rotated();
  const [first = "", second = "", third = "", ...rest] = keysIn(w);
  const from = (text: string): string => text.slice(0, text.indexOf("=") + 1);
  const key = (text: string): string => text.slice(text.indexOf("=") + 1);
  const swapped = [first, `${from(second)}${key(third)}`, `${from(third)}${key(second)}`, ...rest];
  expect(run(w, 0, swapped).stderr).toContain("note has no verifiable signatures");
});

test("Go's program refuses the log when a byte of it is changed", async () => {
  const w = await rotated();
  const path = join(w.folder, "00000000000000000000.jsonl");
  writeFileSync(path, readFileSync(path, "utf8").replace("0.1.0", "0.1.1"));
  expect(run(w, 0).status).toBe(1);
});
