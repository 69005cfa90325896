import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { ran } from "../boot/ran.ts";

/** Root's `leave` in folders that the agent's user may have prepared for it. */
const REEVE = join(ROOT, "dist", "reeve");
/** Any but root; it need not be a user of this machine. */
const AGENT = 61234;
const asRoot = test.skipIf(process.getuid?.() !== 0);
let folder: string;
const path = (name: string): string => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "reeve-leave-"));
  chmodSync(folder, 0o755);
  make("state", AGENT);
  writeFileSync(
    path("reeve.yaml"),
    `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://127.0.0.1:1", trust_sha256: ${"A".repeat(43)} }
state: ${path("state")}
runtime: ${path("runtime")}
token: { file: ${path("token")} }
provider: local
local: {}
`,
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function make(name: string, uid: number): void {
  mkdirSync(path(name), { mode: 0o700 });
  chownSync(path(name), uid, uid);
}

/** A key in a folder, of its owner. */
function key(name: string, uid: number): string {
  const file = path(`${name}/agent.json`);
  writeFileSync(file, "{}", { mode: 0o600 });
  chownSync(file, uid, uid);
  return file;
}

const leave = () => ran([REEVE, "leave", "--config", path("reeve.yaml")]);

asRoot("root's leave removes the identity of the agent's user", async () => {
  make("state/identity", AGENT);
  const file = key("state/identity", AGENT);
  expect(await leave()).toMatchObject({ code: 0, stdout: expect.stringContaining("left: the identity is gone") });
  expect(existsSync(file)).toBe(false);
});

asRoot("root's leave follows no link in the identity's place, and removes nothing there", async () => {
  make("other", AGENT);
  const file = key("other", AGENT);
  symlinkSync(path("other"), path("state/identity"));
  const refused = await leave();
  expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining("identity is not a folder")]);
  expect(existsSync(file)).toBe(true);
});

asRoot("root's leave has the rights of the state folder's owner alone", async () => {
  make("state/identity", 0);
  const file = key("state/identity", 0);
  const refused = await leave();
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("EACCES");
  expect(existsSync(file)).toBe(true);
});

asRoot("a state folder that is a link is refused", async () => {
  rmSync(path("state"), { recursive: true });
  make("other", AGENT);
  make("other/identity", AGENT);
  const file = key("other/identity", AGENT);
  symlinkSync(path("other"), path("state"));
  const refused = await leave();
  expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining("is not a folder")]);
  expect(existsSync(file)).toBe(true);
});
