import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { configure, install, type Machine, machine } from "./stage.ts";

/** A program in the agent's place, under every line of the unit but ExecStart, tries what the agent must not be able to do. */
setDefaultTimeout(240_000);

let m: Machine;
let tried: Readonly<Record<string, string>>;
beforeAll(async () => {
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

test("what it must be able to do, it can", () => {
  const needs = ["write its own state", "write its own status", "write into /tmp", "open an internet socket"];
  expect(needs.filter((name) => tried[name] !== "done")).toEqual([]);
});

test.each([
  "write the executable",
  "write the config",
  "write the policy",
  "write the unit",
  "add a drop-in",
  "replace the executable",
  "approve",
])("it cannot %s: the folder is not its own, and the file system is mounted read-only", (name) => {
  expect(["EROFS", "EACCES"]).toContain(tried[name] ?? "not tried");
});

test.each([
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
])("it cannot %s", (name) => {
  expect(["EPERM", "EACCES", "EAFNOSUPPORT", "ENOENT", "EINVAL"]).toContain(tried[name] ?? "not tried");
});

test("executable, config, policy and unit belong to root, and nobody else may write them or beside them", () => {
  const paths =
    "/usr/bin/reeve /usr/bin /etc/reeve /etc/reeve/reeve.yaml /etc/reeve/owner /etc/reeve/owner/policy.yaml /etc/reeve/owner/on /usr/lib/systemd/system/reeve.service /usr/lib/systemd/system";
  const lines = m.sh(`stat -L -c '%U:%G %A %n' ${paths}`).trim().split("\n");
  expect(lines.length).toBe(paths.split(" ").length);
  expect(lines.filter((line) => !/^root:root .{5}-.{2}-. /.test(line))).toEqual([]);
});
