import { beforeAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { realDisk } from "../../agent/host/real.ts";
import { intent, outcome, refused, scratch, started, type World, world } from "../audit/world.ts";
import { REEVE, ran } from "../e2e/world.ts";
import { programPath } from "../tools.ts";
import { fileOf, linesIn } from "./copy.ts";

/** The compiled executable: a sample of the damage that damage.test.ts does by thousands, and output into pipes that end or are full. */
let w: World;
let ca = "";
let head = "";
beforeAll(async () => {
  w = await world({ segmentBytes: 200_000 });
  const log = w.open();
  const id = Bun.randomUUIDv7();
  log.append([intent(id)]);
  log.append([outcome(id, 1)]);
  for (let n = 0; n < 10; n++) log.append(Array.from({ length: 50 }, () => refused(Bun.randomUUIDv7())));
  log.append([started]);
  head = log.checkpoint();
  log.close();
  ca = join(scratch(), "ca.pem");
  writeFileSync(ca, w.caPem);
});

function segments(folder: string): string[] {
  return realDisk.list(folder).filter((name) => name.endsWith(".jsonl"));
}

/** A copy with one segment's lines changed. */
function changed(change: (lines: string[]) => string[], at = 0): { folder: string; file: string } {
  const folder = join(scratch(), "audit");
  cpSync(w.folder, folder, { recursive: true });
  const file = segments(folder)[at] ?? "";
  writeFileSync(join(folder, file), fileOf(change(linesIn(readFileSync(join(folder, file))))));
  return { folder, file };
}

function verified(folder: string, ...more: string[]) {
  const { code, stdout, stderr } = ran(REEVE, "audit", "verify", "--log", folder, "--ca", ca, "--json", ...more);
  expect(stderr).toBe("");
  return { code, ...JSON.parse(stdout) };
}

test("the executable names kind, file and line, and ends with 13", () => {
  const cases: readonly (readonly [string, number, (lines: string[]) => string[]])[] = [
    ["edited", 1, (lines) => lines.with(1, (lines[1] ?? "").replace('"count":4', '"count":5'))],
    ["removed", 2, (lines) => lines.toSpliced(2, 1)],
    ["inserted", 2, (lines) => lines.toSpliced(2, 0, lines[1] ?? "")],
    ["reordered", 1, (lines) => lines.with(1, lines[2] ?? "").with(2, lines[1] ?? "")],
    ["truncated", 3, (lines) => lines.slice(0, 3)],
  ];
  for (const [kind, index, change] of cases) {
    const { folder, file } = changed(change);
    expect(verified(folder)).toMatchObject({ code: 13, exit: 13, damage: { kind, index, file, line: index + 1 } });
  }
});

test("a line that was changed long ago, and that no head covers by itself any more, is still named", () => {
  const { folder, file } = changed((lines) => lines.with(77, (lines[77] ?? "").replace("at most 9", "at most 8")));
  const notes = readFileSync(join(folder, "checkpoints"), "utf8").split("\n\n");
  // As after many more entries: only the newest heads are kept.
  writeFileSync(join(folder, "checkpoints"), notes.slice(-5).join("\n\n"));
  expect(segments(folder).length).toBeGreaterThan(1);
  expect(verified(folder)).toMatchObject({ exit: 13, damage: { kind: "edited", index: 77, to: 77, file, line: 78 } });
});

test("the newest head is printed as a note, and another copy is held against it", () => {
  const printed = ran(REEVE, "audit", "verify", "--log", w.folder, "--ca", ca, "--head");
  expect(printed).toMatchObject({ code: 11, stdout: head });
  expect(printed.stderr).toContain("nobody has witnessed it");
  const kept = join(scratch(), "kept.note");
  writeFileSync(kept, printed.stdout);
  expect(verified(w.folder, "--against", kept).code).toBe(11);
  const last = segments(w.folder).length - 1;
  const { folder } = changed((lines) => lines.slice(0, -1), last);
  const notes = readFileSync(join(folder, "checkpoints"), "utf8").split("\n\n");
  writeFileSync(join(folder, "checkpoints"), `${notes.slice(0, -3).join("\n\n")}\n\n`);
  expect(verified(folder).code).toBe(11);
  expect(verified(folder, "--against", kept)).toMatchObject({ code: 13, damage: { kind: "rolled-back" } });
  expect(verified(folder, "--against", w.folder)).toMatchObject({ code: 13, damage: { kind: "rolled-back" } });
  const nothing = join(scratch(), "nothing");
  writeFileSync(nothing, "x\n");
  expect(ran(REEVE, "audit", "verify", "--log", w.folder, "--ca", ca, "--against", nothing).code).toBe(14);
  expect(ran(REEVE, "audit", "verify", "--log", w.folder, "--ca", ca, "--witness", "nobody").code).toBe(2);
});

test("entries are chosen by time, action, command and outcome", () => {
  const show = (...more: string[]): { kind: string; index: number; time: string; command?: string }[] => {
    const shown = ran(REEVE, "audit", "show", "--log", w.folder, "--json", ...more);
    expect(shown).toMatchObject({ code: 0, stderr: "" });
    return shown.stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  };
  const all = show();
  const id = all.find(({ kind }) => kind === "intent")?.command ?? "";
  expect(show("--command", id).map(({ kind }) => kind)).toEqual(["intent", "outcome"]);
  expect(show("--outcome", "succeeded").map(({ kind }) => kind)).toEqual(["outcome"]);
  expect(show("--outcome", "refused").length).toBe(500);
  expect(show("--action", "scale").length).toBe(502);
  expect(show("--action", "update-dns")).toEqual([]);
  const middle = all[300]?.time ?? "";
  const [before, after] = [show("--until", middle), show("--since", middle)];
  expect(before.length + after.length).toBe(all.length);
  expect(before.every(({ time }) => time < middle) && after.every(({ time }) => time >= middle)).toBe(true);
  expect(ran(REEVE, "audit", "show", "--log", w.folder, "--since", "yesterday").code).toBe(2);
  expect(ran(REEVE, "audit", "show", "--log", w.folder, "--outcome", "nice").code).toBe(2);
});

test("a reader that has gone ends the command without a word, and verify still ends with what it found", async () => {
  const shown = await piped(`"${REEVE}" audit show --log "${w.folder}" --json; echo "code $?" >&2`, "head -n 1");
  expect(shown.out.trimEnd().split("\n").length).toBe(1);
  expect(shown.err).toBe("code 0\n");
  const verdict = await piped(`"${REEVE}" audit verify --log "${w.folder}" --ca "${ca}" ; echo "code $?" >&2`, "true");
  expect(verdict.err).toBe("code 11\n");
});

async function piped(writer: string, reader: string): Promise<{ out: string; err: string }> {
  const child = Bun.spawn(["sh", "-c", `{ ${writer}; } | ${reader}`], { stdout: "pipe", stderr: "pipe", env: {} });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return { out, err };
}

test("into a pipe that does not block and whose reader is slow, every byte arrives", async () => {
  const python = programPath("python3");
  if (python === null) throw new Error("python3 is needed");
  // The reader makes the pipe's writing end non-blocking before it starts the command, and reads when that has filled it.
  const script = `
import fcntl, os, subprocess, sys, time
read, write = os.pipe()
fcntl.fcntl(write, fcntl.F_SETFL, fcntl.fcntl(write, fcntl.F_GETFL) | os.O_NONBLOCK)
child = subprocess.Popen(sys.argv[1:], stdout=write, env={})
while True:
    full = True
    try:
        os.write(write, b"")
        import select
        full = not select.select([], [write], [], 0)[1]
    except BlockingIOError:
        pass
    if full or child.poll() is not None:
        break
    time.sleep(0.01)
os.close(write)
print("full" if full else "never full", file=sys.stderr)
while True:
    chunk = os.read(read, 4096)
    if not chunk:
        break
    sys.stdout.buffer.write(chunk)
sys.stdout.flush()
sys.exit(child.wait())
`;
  const folder = scratch();
  const file = join(folder, "slow.py");
  writeFileSync(file, script);
  const child = spawn(python, [file, REEVE, "audit", "show", "--log", w.folder, "--json"], { env: {} });
  const [out, err]: Buffer[][] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => out?.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err?.push(chunk));
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect({ code, err: Buffer.concat(err ?? []).toString() }).toEqual({ code: 0, err: "full\n" });
  const wanted = segments(w.folder).map((name) => readFileSync(join(w.folder, name)));
  expect(Buffer.concat(out ?? []).equals(Buffer.concat(wanted))).toBe(true);
}, 60_000);
