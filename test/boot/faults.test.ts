import { afterEach, expect, test } from "bun:test";
import { copyFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import type { Machine } from "./machine.ts";
import { ran, until } from "./ran.ts";
import { NO_MACHINE } from "./skipped.ts";
import { makeWorld, type World } from "./world.ts";

const PATIENCE_MS = 900_000;
let world: World | null = null;
let machine: Machine | null = null;
afterEach(async () => {
  await machine?.end();
  await world?.end();
  world = null;
  machine = null;
});

test.skipIf(NO_MACHINE)(
  "another file than the one that was asked for: nothing is placed, cloud-init says so; put right, the next boot installs",
  async () => {
    world = await makeWorld();
    await world.startControl();
    const served = world.stage.at("/srv/world/reeve");
    writeFileSync(served, "#!/bin/sh\ntouch /it-ran\n");
    machine = world.machine(await world.userData());
    const failed = await machine.boot();
    expect(failed.status).toBe("error");
    expect(failed.output).toMatch(
      /^error: Cannot install reeve: https:\/\/\S+ has the SHA-256 [0-9a-f]{64}, and [0-9a-f]{64} was asked for\. Nothing was placed\.$/m,
    );
    // Of what this boot wrote, all but what cloud-init keeps itself and what the test serves.
    const [ours, theirs] = [world.stage.changed, ["*/srv/*", "*/var/lib/cloud/*"]];
    const except = theirs.flatMap((path) => ["!", "-path", path]);
    const found = await ran(["find", ours, ...except, "(", "-name", "*reeve*", "-o", "-name", "it-ran", ")"]);
    expect(found).toEqual({ code: 0, stdout: "", stderr: "" });
    expect((await machine.inside("id", "reeve")).code).toBe(1);
    await machine.powerOff();
    copyFileSync(join(ROOT, "dist", "reeve"), served);
    expect((await machine.boot()).status).toBe("done");
    expect((await machine.inside("reeve", "status")).stdout).toContain("state    ready\n");
  },
  PATIENCE_MS,
);

test.skipIf(NO_MACHINE)(
  "an expired token: cloud-init's output and reeve status both say so. The executable came without curl, by cloud-init's own Python",
  async () => {
    world = await makeWorld();
    await world.startControl();
    const rendered = await world.userData("--ttl", "1s");
    const began = Date.now();
    await until("the token has expired", () => (Date.now() > began + 2000 ? true : null));
    machine = world.machine(rendered);
    rmSync(machine.at("/usr/bin/curl"));
    const failed = await machine.boot();
    expect(failed.status).toBe("error");
    expect(failed.output).toMatch(/Cannot enrol: the token expired \d+ s ago\./);
    expect(failed.output).toContain("error: Cannot join: reeve.service has ended.\n");
    const status = await machine.inside("reeve", "status");
    expect(status.stdout).toMatch(/^state {4}not running \(was stopped\)$/m);
    expect(status.code).toBe(1);
    expect(await world.cluster()).toMatchObject({ state: "never started", epoch: 0, alarms: [] });
  },
  PATIENCE_MS,
);
