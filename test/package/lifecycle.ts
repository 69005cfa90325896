import "reflect-metadata";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { agentContent, type Kind } from "../../build/package/content.ts";
import { makeDeb } from "../../build/package/deb.ts";
import { makeRpm } from "../../build/package/rpm.ts";
import { NO_MACHINE } from "../boot/skipped.ts";
import { DIST } from "./built.ts";
import { configure, type Machine, machine } from "./stage.ts";

/** How one package manager is told. Each returns what it and the package's scripts said. */
export type Manager = {
  readonly kind: Kind;
  readonly install: string;
  readonly upgrade: string;
  readonly remove: string;
  /** Where there is such a thing. */
  readonly purge: string | null;
};

const NEWER = "0.1.99";
const LOG = "cat /var/lib/reeve/audit/*.jsonl";

/** The package of a later version, in `folder`; the executable in it is this one. */
async function newer(kind: Kind, folder: string): Promise<string> {
  const { programOf } = await import("../../agent/main.ts");
  const make = kind === "deb" ? makeDeb : makeRpm;
  const here = process.arch === "arm64" ? "arm64" : "x64";
  return join(folder, make(agentContent(programOf(), NEWER), NEWER, here, join(DIST, "reeve"), folder, folder));
}

/** What a package must do from its first install to its removal, in one machine, in order. */
export function lifecycle({ kind, install, upgrade, remove, purge }: Manager): void {
  const onMachine = test.skipIf(NO_MACHINE);
  let m: Machine;
  const folder = join(ROOT, ".cache");
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(folder, "newer-"));
  beforeAll(async () => {
    if (NO_MACHINE) return;
    m = await machine({ [`/root/newer.${kind}`]: { copy: await newer(kind, scratch) } });
  });
  afterAll(async () => {
    await m?.end();
    rmSync(scratch, { recursive: true, force: true });
  });
  const entries = (): string => m.sh("reeve audit show --json");
  const identity = (): string => m.sh("cd /var/lib/reeve/identity && find . -type f | sort | xargs sha256sum");

  onMachine("installed, it runs nothing, is not enabled, and holds no config, policy or secret", () => {
    const said = m.sh(`${install} 2>&1`);
    expect(said).toContain("not started");
    expect(m.run("systemctl", "is-enabled", "reeve").stdout.trim()).toBe("disabled");
    expect(m.unit("ActiveState")).toBe("inactive");
    expect(m.sh("getent passwd reeve")).toContain("/usr/sbin/nologin");
    expect(m.sh("cd /etc/reeve && find . | sort")).toBe(".\n./owner\n./owner/approvals\n");
    expect(m.sh("reeve version")).toContain("reeve ");
  });

  onMachine(
    "an upgrade while it is stopped starts nothing; while it runs, the agent starts again with the state that it had",
    async () => {
      await configure(m);
      expect(m.sh(`${upgrade} 2>&1`)).not.toContain("not started");
      expect(m.unit("ActiveState")).toBe("inactive");
      m.sh("systemctl enable --now --quiet reeve");
      const before = { pid: m.unit("MainPID"), entries: entries(), identity: identity() };
      m.sh(
        kind === "deb" ? "dpkg --install /root/newer.deb 2>&1" : "rpm --upgrade --nodeps --force /root/newer.rpm 2>&1",
      );
      await m.until(
        "another agent",
        () => !["0", before.pid].includes(m.unit("MainPID")) && m.unit("ActiveState") === "active",
      );
      expect(entries().startsWith(before.entries)).toBe(true);
      expect(entries()).toContain('"why":"told to"');
      expect(identity()).toBe(before.identity);
      expect(m.sh("cat /etc/reeve/reeve.yaml")).toContain("prod-eu-1");
      expect(m.run("systemctl", "is-enabled", "reeve").stdout.trim()).toBe("enabled");
    },
  );

  onMachine("removed, the agent has stopped, and what the owner and the agent wrote is kept", () => {
    const before = { identity: identity(), log: m.sh(LOG).split("\n") };
    m.sh(`${remove} 2>&1`);
    expect(m.run("test", "-e", "/usr/bin/reeve").code).toBe(1);
    expect(m.run("pgrep", "-x", "reeve").stdout).toBe("");
    expect(m.run("systemctl", "is-enabled", "reeve").stdout.trim()).not.toBe("enabled");
    // Stopping is one entry more.
    expect(
      m
        .sh(LOG)
        .split("\n")
        .slice(0, before.log.length - 1),
    ).toEqual(before.log.slice(0, -1));
    expect(identity()).toBe(before.identity);
    expect(m.sh("ls /etc/reeve /etc/reeve/owner")).toContain("policy.yaml");
  });

  onMachine("installed again, it goes on with the same identity and log, without a token", () => {
    const before = identity();
    m.sh(`${install} 2>&1; rm -f /etc/credstore/reeve-token; systemctl start reeve`);
    expect(m.unit("ActiveState")).toBe("active");
    expect(identity()).toBe(before);
    expect(m.entries("epoch").length).toBe(1);
    expect(m.sh("reeve audit show | head -1")).not.toBe("");
  });

  onMachine("for good, it says what it leaves and where: policy, identity and audit log are evidence", () => {
    const log = m.sh(`systemctl stop reeve; ${LOG}`);
    const said = m.sh(`${remove} 2>&1; ${purge ?? "true"} 2>&1`);
    expect(said).toContain("kept: /var/lib/reeve");
    expect(said).toContain("kept: /etc/reeve");
    expect(m.sh(LOG)).toBe(log);
    expect(m.sh("ls /etc/reeve/owner")).toContain("policy.yaml");
  });
}
