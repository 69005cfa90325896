import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { NO_MACHINE } from "../boot/skipped.ts";
import { requireDebian } from "../tools.ts";
import { configure, install, type Machine, machine } from "./stage.ts";

setDefaultTimeout(240_000);

const UNIT = join(ROOT, "deploy", "systemd", "reeve.service");
const FOLDER = "/run/systemd/system/reeve.service.d";
const onMachine = test.skipIf(NO_MACHINE);
let m: Machine;
beforeAll(async () => {
  if (NO_MACHINE) return;
  m = await machine();
  install(m);
  await configure(m);
});
afterAll(async () => {
  await m?.end();
});

/** Settings of the unit for this boot alone; the daemon knows them when this returns. */
function setting(name: string, lines: string): void {
  m.sh(`mkdir -p ${FOLDER}; printf '[Service]\n%s\n' "${lines}" > ${FOLDER}/${name}.conf; systemctl daemon-reload`);
}

const running = (): boolean => m.unit("ActiveState") === "active";

describe("the unit as a file", () => {
  test("systemd-analyze gives it an exposure of at most 1.5", () => {
    requireDebian({ "systemd-analyze": "systemd" });
    const looked = spawnSync("systemd-analyze", ["security", "--offline=true", "--threshold=15", UNIT], {
      encoding: "utf8",
    });
    expect(looked.stdout).toContain("Overall exposure level for reeve.service");
    expect(looked.status).toBe(0);
    const stricter = spawnSync("systemd-analyze", ["security", "--offline=true", "--threshold=1", UNIT], {
      encoding: "utf8",
    });
    expect(stricter.status).not.toBe(0);
  });

  test("systemd-analyze verify finds nothing wrong with it", () => {
    const looked = spawnSync("systemd-analyze", ["verify", UNIT], { encoding: "utf8" });
    expect(looked.stdout + looked.stderr).toBe("");
    expect(looked.status).toBe(0);
  });
});

onMachine(
  "it is ready when it has enrolled with the token from systemd's credentials, and a later start needs no token",
  async () => {
    m.sh("systemctl start reeve");
    expect(m.unit("ActiveState")).toBe("active");
    expect(m.entries("epoch").length).toBe(1);
    expect(m.sh("stat -c %U:%a /var/lib/reeve /var/lib/reeve/audit")).toBe("reeve:700\nreeve:700\n");
    m.sh("rm /etc/credstore/reeve-token; systemctl restart reeve");
    expect(m.unit("ActiveState")).toBe("active");
    expect(m.entries("started").length).toBe(2);
  },
);

onMachine(
  "nothing is in its environment but the path, where to report to and where the token lies, whatever a drop-in sets",
  () => {
    setting("hostile", "Environment=BUN_OPTIONS=--smol LD_PRELOAD=/nowhere.so HTTPS_PROXY=http://127.0.0.1:1");
    m.sh("systemctl restart reeve");
    const names = m
      .sh(`tr '\\0' '\\n' < /proc/${m.unit("MainPID")}/environ`)
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    expect(names).toEqual(["PATH", "NOTIFY_SOCKET", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY"]);
    m.sh("rm /run/systemd/system/reeve.service.d/hostile.conf; systemctl daemon-reload");
  },
);

onMachine("systemd hears of it again and again while its loops go round", async () => {
  setting("watchdog", "WatchdogSec=15\nRestartSec=100ms");
  m.sh("systemctl restart reeve");
  const heard = new Set<string>();
  await m.until("three signs of life", () => heard.add(m.unit("WatchdogTimestampMonotonic")).size > 2);
  expect(m.unit("NRestarts")).toBe("0");
  expect(running()).toBe(true);
});

onMachine("an agent that hangs is killed and started again, and its group's processes go on", async () => {
  m.sh(`cp /usr/share/doc/reeve/examples/local-groups.conf ${FOLDER}/; systemctl daemon-reload`);
  m.sh("systemctl restart reeve");
  expect(m.scale(2).code).toBe(0);
  const workload = m.pids();
  expect(workload.length).toBe(2);
  const hung = m.unit("MainPID");
  m.sh(`kill -STOP ${hung}`);
  await m.until("another agent", () => running() && !["0", hung].includes(m.unit("MainPID")));
  expect(Number(m.unit("NRestarts"))).toBeGreaterThan(0);
  expect(m.run("test", "-e", `/proc/${hung}`).code).toBe(1);
  expect(m.pids()).toEqual(workload);
  expect(m.sh("journalctl -u reeve -o cat --no-pager")).toContain("Watchdog timeout");
  m.sh(`rm ${FOLDER}/watchdog.conf; systemctl daemon-reload`);
});

onMachine("with provider local, a restart of the unit leaves the pids of the group's processes as they were", () => {
  const workload = m.pids();
  expect(workload.length).toBe(2);
  m.sh("systemctl restart reeve");
  expect(running()).toBe(true);
  expect(m.pids()).toEqual(workload);
  expect(m.scale(3).code).toBe(0);
  expect(m.pids().length).toBe(3);
  expect(m.pids()).toEqual(expect.arrayContaining([...workload]));
});

onMachine(
  "without the drop-in for local groups, processes that are hidden are not taken for dead and started once more",
  () => {
    const workload = m.pids();
    m.sh(`rm ${FOLDER}/local-groups.conf; systemctl daemon-reload; systemctl restart reeve`);
    const sent = m.scale(4);
    expect(sent.code).toBe(1);
    expect(sent.stdout).toContain("hidden");
    expect(m.pids()).toEqual(workload);
  },
);

onMachine("a stop finishes, is on record, and leaves the status behind", () => {
  m.sh("systemctl stop reeve");
  expect([m.unit("ActiveState"), m.unit("Result"), m.unit("ExecMainStatus")]).toEqual(["inactive", "success", "0"]);
  expect(m.entries("stopped").at(-1)).toContain('"why":"told to"');
  expect(m.sh("cat /run/reeve/status.json")).toContain('"stopped"');
  expect(m.pids().length).toBe(3);
});

onMachine("a config that cannot be read is not tried again", async () => {
  m.sh(
    "cp /etc/reeve/reeve.yaml /root/kept.yaml; echo nonsense: 1 >> /etc/reeve/reeve.yaml; systemctl start reeve || true",
  );
  await m.until("an end", () => m.unit("ActiveState") === "failed");
  expect([m.unit("ExecMainStatus"), m.unit("NRestarts")]).toEqual(["3", "0"]);
  m.sh("cp /root/kept.yaml /etc/reeve/reeve.yaml; systemctl reset-failed reeve");
});

onMachine("of the exit codes, 2, 3, 4, 6 and 70 are not tried again, others are", async () => {
  const ends = [1, 2, 3, 4, 5, 6, 7, 70];
  for (const code of ends)
    m.sh(
      `sed -e 's|^ExecStart=.*|ExecStart=/bin/sh -c "exit ${code}"|' -e 's|^RestartSec=.*|RestartSec=100ms|' -e '/Directory/d' /usr/lib/systemd/system/reeve.service > /run/systemd/system/ends-${code}.service`,
    );
  m.sh("systemctl daemon-reload");
  for (const code of ends) {
    const name = `ends-${code}.service`;
    m.run("systemctl", "start", name);
    if ([2, 3, 4, 6, 70].includes(code)) {
      await m.until(`an end with ${code}`, () => m.unit("SubState", name) === "failed");
      expect([m.unit("ExecMainStatus", name), m.unit("NRestarts", name)]).toEqual([String(code), "0"]);
    } else await m.until(`another start after ${code}`, () => Number(m.unit("NRestarts", name)) > 1);
  }
});
