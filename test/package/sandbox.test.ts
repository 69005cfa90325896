import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NO_MACHINE } from "../boot/skipped.ts";
import { configure, install, type Machine, machine } from "./stage.ts";

/** A program in the agent's place, under every line of the unit but ExecStart, tries what the agent must not be able to do. */
setDefaultTimeout(240_000);

const onMachine = test.skipIf(NO_MACHINE);
let m: Machine;
let tried: Readonly<Record<string, string>>;
beforeAll(async () => {
  if (NO_MACHINE) return;
  m = await machine({
    "/usr/local/bin/probe.py": { text: readFileSync(join(import.meta.dirname, "probe.py"), "utf8") },
  });
  install(m);
  await configure(m);
  // The real one first, so that everything that it makes is there.
  m.sh("systemctl start reeve && systemctl stop reeve && mkdir -p /etc/systemd/system/reeve.service.d");
  m.sh(
    `sed -e 's|^ExecStart=.*|ExecStart=/usr/bin/python3 -I /usr/local/bin/probe.py\\nStandardOutput=file:/root/tried|' -e 's|^Type=.*|Type=oneshot|' -e 's|^Restart=.*|Restart=no|' /usr/lib/systemd/system/reeve.service > /run/systemd/system/probe.service; systemctl daemon-reload; systemctl start probe`,
  );
  tried = JSON.parse(m.sh("cat /root/tried")) as Record<string, string>;
});
afterAll(async () => {
  await m?.end();
});

/** The tries that did not end with one of these errors, and how they ended. */
function notEnded(errors: readonly string[], names: readonly string[]): string[] {
  const ends = names.map((name) => [name, tried[name] ?? "not tried"] as const);
  return ends.filter(([, end]) => !errors.includes(end)).map(([name, end]) => `${name}: ${end}`);
}

onMachine("in the unit's sandbox the agent can do what it must", () => {
  const needs = ["write its own state", "write its own status", "write into /tmp", "open an internet socket"];
  expect(notEnded(["done"], needs)).toEqual([]);
});

onMachine("in the unit's sandbox it cannot change, replace or go around what decides about it", () => {
  const tries = [
    "write the executable",
    "write the config",
    "write the policy",
    "write the unit",
    "add a drop-in",
    "replace the executable",
    "approve",
  ];
  expect(notEnded(["EROFS", "EACCES"], tries)).toEqual([]);
});

onMachine("in the unit's sandbox it cannot listen, trace, mount, become another or make memory code", () => {
  const tries = [
    "read the vendor's keys",
    "listen",
    "open a packet socket",
    "open a netlink socket",
    "trace another process",
    "become root",
    "make a namespace",
    "mount",
    "unmount",
    "set the clock",
    "set the host's name",
    "load a module",
    "have memory to write and to execute",
    "see other processes",
  ];
  expect(notEnded(["EPERM", "EACCES", "EAFNOSUPPORT", "ENOENT", "EINVAL"], tries)).toEqual([]);
});

onMachine("in the unit's sandbox it cannot do by io_uring what is refused by a system call of its own", () => {
  expect(notEnded(["EPERM"], ["set up io_uring", "enter io_uring", "register with io_uring"])).toEqual([]);
});

onMachine("in the unit's sandbox it cannot run a program that it wrote itself, into a file or into memory", () => {
  const folders = ["/var/lib/reeve", "/run/reeve", "/tmp", "/var/tmp", "/dev/shm"];
  expect(
    notEnded(
      ["EACCES"],
      folders.map((folder) => `run a program of its own from ${folder}`),
    ),
  ).toEqual([]);
  expect(notEnded(["EPERM"], ["make a file of memory"])).toEqual([]);
});

onMachine("executable, config, policy and unit belong to root, and nobody else may write them or beside them", () => {
  const paths =
    "/usr/bin/reeve /usr/bin /etc/reeve /etc/reeve/reeve.yaml /etc/reeve/owner /etc/reeve/owner/policy.yaml /etc/reeve/owner/on /usr/lib/systemd/system/reeve.service /usr/lib/systemd/system";
  const lines = m.sh(`stat -L -c '%U:%G %A %n' ${paths}`).trim().split("\n");
  expect(lines.length).toBe(paths.split(" ").length);
  expect(lines.filter((line) => !/^root:root .{5}-.{2}-. /.test(line))).toEqual([]);
});
