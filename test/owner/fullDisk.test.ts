import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { must, ran } from "../boot/ran.ts";

/** A real tmpfs that has no room left. */
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "reeve-full-"));
  mkdirSync(join(folder, "small"), { mode: 0o700 });
  await must("mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", join(folder, "small"));
});
afterEach(async () => {
  await must("umount", join(folder, "small"));
  rmSync(folder, { recursive: true, force: true });
});

test("started on a full disk the agent says that it is full and what to do, before it reads a token", async () => {
  const state = join(folder, "small/state");
  mkdirSync(state, { mode: 0o700 });
  const config = join(folder, "reeve.yaml");
  const lines = [
    "version: 1",
    "cluster: prod-eu-1",
    `control_plane: { enrol: "https://127.0.0.1:1", trust_sha256: ${"A".repeat(43)} }`,
    `state: ${state}`,
    `runtime: ${join(folder, "runtime")}`,
    `owner: { directory: ${folder} }`,
    `token: { file: ${join(folder, "token")} }`,
    "provider: local",
    "local: {}",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  mkdirSync(join(folder, "runtime"));
  await ran(["dd", "if=/dev/zero", `of=${join(folder, "small/rest")}`, "bs=1k", "count=64"]);
  const { code, stdout, stderr } = await ran([join(ROOT, "dist/reeve"), "run", "--config", config]);
  expect({ code, stdout, stderr }).toEqual({
    code: 7,
    stdout: "",
    stderr: `error: Cannot use ${state}: its disk is full.\nhint: Free space on it (df ${state}), then start the agent again.\n`,
  });
});

test("started on a full disk the control plane says so, in whichever of its files it finds out, and serves once there is room", async () => {
  const dir = join(folder, "small/control");
  const words = [join(ROOT, "dist/reeve-control"), "serve", "--dir", dir];
  const serve = () => ran(["timeout", "15", ...words, "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0"]);
  await must("mount", "-o", "remount,size=1m", join(folder, "small"));
  await ran(["dd", "if=/dev/zero", `of=${join(folder, "small/rest")}`, "bs=1k", "count=1024"]);
  for (const left of [0, 8, 200]) {
    await must("truncate", "-s", `${1024 - left}K`, join(folder, "small/rest"));
    rmSync(dir, { recursive: true, force: true });
    const { code, stdout, stderr } = await serve();
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(/^error: Cannot (?:go on: ENOSPC|use the state: ).*\nhint: .*\broom\b.*\n$/);
  }
  rmSync(join(folder, "small/rest"));
  expect((await serve()).stdout).toContain('"enrol":"127.0.0.1:');
}, 60_000);
