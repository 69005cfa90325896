import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Machine } from "./machine.ts";
import { must, until } from "./ran.ts";
import { NO_MACHINE } from "./skipped.ts";
import { makeWorld, type World } from "./world.ts";

const PATIENCE_MS = 900_000;
let world: World | null = null;
let machine: Machine | null = null;
afterAll(async () => {
  await machine?.end();
  await world?.end();
});

const ANOTHER = '#cloud-config\nwrite_files:\n  - { path: /etc/another-part, content: "mine\\n" }\n';

/** What cloud-init's own tool makes of a part of the customer's and the rendered one. */
async function afterAnother(rendered: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "reeve-parts-"));
  try {
    const parts = Object.entries({ another: ANOTHER, rendered }).flatMap(([name, text]) => {
      writeFileSync(join(folder, name), text);
      return ["--attach", `${join(folder, name)}:cloud-config`];
    });
    return await must("cloud-init", "devel", "make-mime", ...parts);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test.skipIf(NO_MACHINE)(
  "names are not found, the power is cut, then the control plane is away: each is waited for or taken up again, and the machine joins without a human",
  async () => {
    world = await makeWorld();
    await world.startControl();
    const rendered = await world.userData();
    await world.stopControl();
    const booted = world.machine(await afterAnother(rendered), "dns");
    machine = booted;
    await booted.begin();
    const output = (): string => booted.read("/var/log/cloud-init-output.log");
    const waits = /Could not resolve host[\s\S]*reeve: cannot fetch https:\/\/files\.customer\.example\/reeve yet/;
    await until("the machine finds no name, and waits", () => (waits.test(output()) ? true : null), output);
    await booted.cut();
    await booted.begin();
    await until(
      "the next boot begins again",
      () => (output().split("reeve: cannot fetch").length > 2 ? true : null),
      output,
    );
    await world.startNames();
    const journal = async (): Promise<string> =>
      (await booted.inside("journalctl", "--unit=reeve.service", "--output=cat", "--no-pager")).stdout;
    const away = "Cannot reach https://control.vendor.example:8443: refused.";
    await until(
      "the agent says that the control plane is away",
      async () => ((await journal()).includes(away) ? true : null),
      output,
    );
    const status = async (): Promise<string> => (await booted.inside("reeve", "status")).stdout;
    const says = `state    enrolling: ${away}\n`;
    await until("reeve status says so too", async () => ((await status()).includes(says) ? true : null), status);
    await world.startControl();
    await until(
      "the agent is ready",
      async () => ((await booted.inside("reeve", "status")).code === 0 ? true : null),
      journal,
    );
    expect((await booted.settled()).status).toBe("done");
    expect(booted.read("/etc/another-part")).toBe("mine\n");
    expect(await world.cluster()).toMatchObject({ state: "ready", epoch: 1, alarms: [] });
  },
  PATIENCE_MS,
);
