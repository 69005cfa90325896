import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fill, refused, scratch, world } from "./world.ts";

const MAIN = join(import.meta.dir, "../../agent/main.ts");

function reeve(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { env: {}, encoding: "utf8" });
  return { status, stdout, stderr };
}

async function written() {
  const w = await world();
  const log = w.open();
  log.append([
    { ...refused(Bun.randomUUIDv7()), found: "\u001b[2Jcleared\u202e", hint: "see\u0007" } as ReturnType<
      typeof refused
    >,
  ]);
  fill(log);
  const ca = join(scratch(), "ca.pem");
  writeFileSync(ca, w.caPem);
  return { folder: w.folder, ca };
}

test("audit verify exits 11 on a whole log and says that nobody witnessed it, 14 without a CA, 13 when a byte was changed", async () => {
  const { folder, ca } = await written();
  const whole = reeve("audit", "verify", "--log", folder, "--ca", ca);
  expect(whole).toMatchObject({ status: 11, stderr: "" });
  expect(whole.stdout).toContain("nobody has witnessed it");
  expect(whole.stdout).toContain("vouched for by CN=vendor.example root");
  const alone = reeve("audit", "verify", "--log", folder);
  expect(alone.status).toBe(14);
  expect(alone.stdout).toContain("proves nothing");
  const path = join(folder, "00000000000000000000.jsonl");
  writeFileSync(path, readFileSync(path, "utf8").replace('"count":4', '"count":5'));
  const damaged = reeve("audit", "verify", "--log", folder, "--ca", ca, "--json");
  expect(damaged.status).toBe(13);
  expect(JSON.parse(damaged.stdout)).toMatchObject({
    exit: 13,
    damage: { file: "00000000000000000000.jsonl", line: 2, kind: "edited", what: "root", index: 1 },
  });
  expect(reeve("audit", "verify", "--log", join(folder, "nowhere"), "--ca", ca).status).toBe(14);
  expect(reeve("audit", "verify", "--log", folder, "--ca", join(folder, "nowhere")).status).toBe(14);
});

test("audit show prints a line an entry, refusals in full when asked, the bytes on disk as JSON, and no control characters", async () => {
  const { folder } = await written();
  const plain = reeve("audit", "show", "--log", folder);
  expect(plain.stdout.trimEnd().split("\n").length).toBe(9);
  const full = reeve("audit", "show", "--log", folder, "--verbose");
  expect(full.stdout).toContain("code policy.count.above-max");
  expect(full.stdout).toContain("\n    owner: If you want more, raise `count.max` in the rule.\n");
  expect(full.stdout).toContain("\\u{1b}[2Jcleared\\u{202e}");
  expect(plain.stdout + full.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  const json = reeve("audit", "show", "--log", folder, "--json");
  expect(json.stdout).toBe(readFileSync(join(folder, "00000000000000000000.jsonl"), "utf8"));
  expect(reeve("audit", "show", "--log", folder, "--last", "2").stdout.trimEnd().split("\n").length).toBe(2);
  const id = JSON.parse(json.stdout.split("\n").find((line) => line.includes('"kind":"intent"')) ?? "").command;
  const one = reeve("audit", "show", "--log", folder, "--command", id).stdout.trimEnd().split("\n");
  expect(one.map((line) => line.split(/\s+/)[2])).toEqual(["intent", "outcome"]);
  expect(reeve("audit", "show", "--log", folder, "--last", "0").status).toBe(2);
});
