import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realHost } from "../../agent/host/real.ts";
import { readOwned } from "../../agent/owner/files.ts";
import { directoryFolder } from "../../agent/owner/folder.ts";
import { readSwitch } from "../../agent/owner/switch.ts";

const ROOT = process.getuid?.() === 0;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "owner-"));
  chmodSync(folder, 0o755);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const owner = () => ({ directory: folder, uid: process.getuid?.() ?? 0 });
const disk = realHost().disk;
const on = (): string => join(folder, "on");

describe("the owner's switch", () => {
  test("a plain file of the owner's is on, and its absence is off", () => {
    expect(readSwitch(directoryFolder(disk, owner())).on).toBe(false);
    writeFileSync(on(), "", { mode: 0o644 });
    expect(readSwitch(directoryFolder(disk, owner())).on).toBe(true);
  });
  const doubtful: [string, () => void][] = [
    ["a folder", () => mkdirSync(on())],
    ["a symlink", () => symlinkSync("/etc/hostname", on())],
    [
      "writable by others",
      () => {
        writeFileSync(on(), "");
        chmodSync(on(), 0o666);
      },
    ],
    [
      "known under a second name",
      () => {
        writeFileSync(on(), "");
        linkSync(on(), join(folder, "other"));
      },
    ],
    [
      "in a folder that others may write",
      () => {
        writeFileSync(on(), "");
        chmodSync(folder, 0o777);
      },
    ],
  ];
  for (const [what, make] of doubtful) {
    test(`an \`on\` that is ${what} is off`, () => {
      make();
      // Not `missing`: what cannot be judged is not the owner's hand, so its return is no resume.
      expect(readSwitch(directoryFolder(disk, owner()))).toMatchObject({ on: false, missing: false });
    });
  }
  test.if(ROOT)("an `on` of another user's is off", () => {
    writeFileSync(on(), "");
    chownSync(on(), 65534, 65534);
    expect(readSwitch(directoryFolder(disk, owner())).on).toBe(false);
  });
  test("the reason is told without control characters", () => {
    writeFileSync(join(folder, "suspended"), "maint\u001b[31menance\nmore\n");
    expect(readSwitch(directoryFolder(disk, owner()))).toEqual({ on: false, why: "maint[31menance", missing: true });
  });
});

describe("the owner's files", () => {
  test("one that is larger than its limit is unreadable, and says so", () => {
    writeFileSync(join(folder, "policy.yaml"), "x".repeat(101));
    expect(readOwned(disk, owner(), "policy.yaml", 100)).toMatchObject({ what: "unreadable" });
    expect("bytes" in readOwned(disk, owner(), "policy.yaml", 101)).toBe(true);
  });
  test("each fault says what to do", () => {
    const fault = readOwned(disk, owner(), "policy.yaml", 100);
    if ("bytes" in fault) throw new Error("it was read");
    expect(fault.hint.length).toBeGreaterThan(5);
  });
});
