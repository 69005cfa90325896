import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Machine, Settled } from "./machine.ts";
import { ran } from "./ran.ts";
import { NO_MACHINE } from "./skipped.ts";
import { makeWorld, type World } from "./world.ts";

const PATIENCE_MS = 900_000;
/** Whatever the installation places, and what the agent makes of it once. */
const PLACED = ["/usr/local/bin", "/etc/reeve", "/etc/systemd/system", "/etc/passwd", "/var/lib/reeve/identity"];

let world: World;
let machine: Machine;
let first: Settled;
let token = "";

beforeAll(async () => {
  if (NO_MACHINE) return;
  world = await makeWorld();
  await world.startControl();
  const rendered = await world.userData();
  token = /^ +(ey[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/m.exec(rendered)?.[1] ?? "";
  expect(token).not.toBe("");
  machine = world.machine(rendered);
  first = await machine.boot();
}, PATIENCE_MS);
afterAll(async () => {
  await machine?.end();
  await world?.end();
});

/** Every file that the machine wrote in these places: name, inode, mode, owner, time of change, SHA-256. */
async function placed(): Promise<string[]> {
  const places = PLACED.map((path) => `${world.stage.changed}${path}`);
  const stat = await ran(["find", ...places, "-type", "f", "-printf", "%p %i %m %U:%G %T@\\n"]);
  const sums = await ran(["find", ...places, "-type", "f", "-exec", "sha256sum", "{}", "+"]);
  expect([stat.code, sums.code]).toEqual([0, 0]);
  return [...stat.stdout.split("\n"), ...sums.stdout.split("\n")].filter(Boolean).sort();
}

test.skipIf(NO_MACHINE)(
  "a machine that boots with the rendered user-data joins: cloud-init is done, reeve is ready, the log has its entry",
  async () => {
    expect(first.status).toBe("done");
    expect(first.output).toContain("reeve: enrolled, and running\n");
    const status = await machine.inside("reeve", "status");
    expect(status.stdout).toContain("state    ready\n");
    expect(status.code).toBe(0);
    const log = (await machine.inside("reeve", "audit", "show", "--json")).stdout.split("\n").filter(Boolean);
    expect(JSON.parse(log[0] ?? "")).toMatchObject({ kind: "epoch", epoch: 1, index: 0, cluster: "prod-eu-1" });
    expect(await world.cluster()).toMatchObject({ state: "ready", epoch: 1, alarms: [] });
    expect((await machine.inside("sha256sum", "/usr/local/bin/reeve")).stdout).toStartWith(world.sha256);
  },
  PATIENCE_MS,
);

test.skipIf(NO_MACHINE)(
  "once joined the token is only in cloud-init's own copies, which root alone reads, and what installed is gone",
  async () => {
    const { changed } = world.stage;
    const disk = (await ran(["grep", "-rlF", token, changed, "--exclude-dir=srv"])).stdout.replaceAll(changed, "");
    const found = `${disk}${(await machine.inside("grep", "-rlF", token, "/run")).stdout}`;
    const files = found.split("\n").filter(Boolean);
    expect(files).toContain("/var/lib/cloud/instances/i-0123456789abcdef0/user-data.txt");
    const seed = "/var/lib/cloud/seed/nocloud/user-data";
    expect(files.filter((path) => !/^\/(?:var\/lib\/cloud\/instances|run\/cloud-init)\//.test(path))).toEqual([seed]);
    const open = await machine.inside("find", ...files.filter((path) => path !== seed), "-perm", "/077");
    expect(open).toEqual({ code: 0, stdout: "", stderr: "" });
    const gone = [
      "/var/lib/cloud/reeve-install",
      "/var/lib/cloud/scripts/per-boot/reeve-install",
      "/var/lib/reeve/join-token",
    ];
    for (const path of gone) expect([path, (await machine.inside("test", "-e", path)).code]).toEqual([path, 1]);
  },
  PATIENCE_MS,
);

test.skipIf(NO_MACHINE)(
  "the agent's user can write nothing that decides about it",
  async () => {
    const as = ["setpriv", "--reuid=reeve", "--regid=reeve", "--clear-groups"];
    expect((await machine.inside(...as, "id", "-un")).stdout).toBe("reeve\n");
    const places = ["/usr/local/bin", "/etc/reeve", "/etc/systemd/system"];
    const writable = await machine.inside(...as, "find", ...places, "!", "-type", "l", "-writable");
    expect(writable).toEqual({ code: 0, stdout: "", stderr: "" });
  },
  PATIENCE_MS,
);

test.skipIf(NO_MACHINE)(
  "a second boot changes no placed file and does not enrol again",
  async () => {
    const before = await placed();
    expect(before.length).toBeGreaterThan(12);
    await machine.powerOff();
    const again = await machine.boot();
    expect(again.status).toBe("done");
    expect(await placed()).toEqual(before);
    expect(await world.cluster()).toMatchObject({ epoch: 1, alarms: [] });
    const log = (await machine.inside("reeve", "audit", "show", "--json")).stdout.split("\n").filter(Boolean);
    const kinds = log.map((line) => (JSON.parse(line) as { kind: string }).kind);
    expect(kinds.filter((kind) => kind === "epoch")).toEqual(["epoch"]);
  },
  PATIENCE_MS,
);
