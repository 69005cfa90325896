import { beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkpointRecord } from "../../agent/audit/folder.ts";
import { parseCheckpoint, verifierKey } from "../../agent/audit/note.ts";
import { realDisk } from "../../agent/host/real.ts";
import { scratch, started, type World, world } from "../audit/world.ts";
import { REEVE, ran } from "../e2e/world.ts";
import { programPath, requireDebian } from "../tools.ts";
import { linesIn } from "./copy.ts";
import { CONTROL, OWNER } from "./witness.ts";

/** Proofs that the executable writes, verified by filippo.io/torchwood (c2sp.org/tlog-proof), built from the Go proxy. */
const GO = "/usr/local/go/bin/go";
let program = "";
let w: World;
let lines: string[] = [];
let newest = "";

beforeAll(async () => {
  if (!existsSync(GO)) requireDebian({ go: "golang-go" });
  const go = existsSync(GO) ? GO : (programPath("go") ?? "go");
  const folder = join(scratch(), "go");
  cpSync(join(import.meta.dir, "go"), folder, { recursive: true });
  const built = spawnSync(go, ["build", "-o", "proof", "."], { cwd: folder, encoding: "utf8", timeout: 280_000 });
  if (built.status !== 0) throw new Error(`Cannot build the Go program: ${built.stderr}`);
  program = join(folder, "proof");
  w = await world({ segmentBytes: 4000 });
  const log = w.open();
  for (let n = 0; n < 30; n++) log.append([started]);
  newest = log.checkpoint();
  log.close();
  writeFileSync(join(w.folder, "cosigned"), checkpointRecord(`${newest}${OWNER.line(newest)}`));
  const names = realDisk.list(w.folder).filter((name) => name.endsWith(".jsonl"));
  lines = names.flatMap((name) => linesIn(readFileSync(join(w.folder, name))));
  expect(names.length).toBeGreaterThan(2);
}, 300_000);

/** The key that may sign the newest head, out of the lines alone. */
function logKey(): string {
  const named = lines.map((line) => JSON.parse(line)).findLast(({ kind }) => kind === "segment" || kind === "epoch");
  return verifierKey(w.as.origin, Buffer.from(named.key ?? named.log_keys[0].key, "base64"));
}

function proven(index: number, line: string, ...witnesses: string[]) {
  const folder = scratch();
  const [proof, entry] = [join(folder, "entry.tlog-proof"), join(folder, "line")];
  const made = ran(REEVE, "audit", "prove", String(index), "--log", w.folder, "--cosigned", "--out", proof);
  expect(made).toMatchObject({ code: 0, stdout: "", stderr: "" });
  writeFileSync(entry, line);
  return spawnSync(program, [proof, entry, logKey(), ...witnesses], { encoding: "utf8" });
}

test("torchwood takes every kind of place: first, last, a segment's first line, the middle", () => {
  expect(parseCheckpoint(newest)?.size).toBe(lines.length);
  const opening = lines.findIndex((line) => line.includes('"kind":"segment"'));
  for (const index of [0, 1, opening, 17, lines.length - 1]) {
    const done = proven(index, lines[index] ?? "", OWNER.text);
    expect({ index, status: done.status, stderr: done.stderr }).toEqual({ index, status: 0, stderr: "" });
    expect(done.stdout).toBe("proven, witnesses 1, extra holds the line: true\n");
  }
});

test("torchwood refuses another line, another witness, and a head by another key", () => {
  expect(proven(3, lines[4] ?? "", OWNER.text).status).toBe(1);
  expect(proven(3, lines[3] ?? "", CONTROL.text).status).toBe(1);
  const key = logKey();
  const first = verifierKey(w.as.origin, Buffer.from(w.firstKey, "base64"));
  expect(first).not.toBe(key);
  const folder = scratch();
  const [proof, entry] = [join(folder, "entry.tlog-proof"), join(folder, "line")];
  ran(REEVE, "audit", "prove", "3", "--log", w.folder, "--out", proof);
  writeFileSync(entry, lines[3] ?? "");
  expect(spawnSync(program, [proof, entry, key]).status).toBe(0);
  expect(spawnSync(program, [proof, entry, first]).status).toBe(1);
});
