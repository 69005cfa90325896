/** The suite of every provider, for an authority over ACME: Debian's Pebble asks Debian's BIND, where the provider puts its records. */
import { afterAll, beforeAll } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { AuthorityState, JudgedCertificateArgs } from "../../providers/provider.ts";
import { type NameServer, startBind } from "../providers/bind.ts";
import { type Case, conformance } from "../providers/conformance.ts";
import { removeAll, scratch } from "../providers/world.ts";
import { type Pebble, startPebble } from "./pebble.ts";
import { asking, NAMES } from "./stage.ts";

const root = scratch();
let bind: NameServer;
let pebble: Pebble;
beforeAll(async () => {
  bind = await startBind(`${root}/bind`, NAMES);
  pebble = await startPebble(`${root}/pebble`, { dns: bind.server });
}, 330_000);
afterAll(async () => {
  await pebble?.stop();
  await bind?.stop();
  removeAll([root]);
});

conformance<JudgedCertificateArgs, AuthorityState>(
  "acme issue-certificate",
  async (): Promise<Case<JudgedCertificateArgs, AuthorityState>> => {
    const folder = mkdtempSync(join(root, "case-"));
    const { command, deliver } = await asking(folder, bind, pebble);
    const before = pebble.issued();
    return {
      command,
      absent: { ...command.args, authority: "acme:other/zone/example.com" },
      stale: { subject: "https://another.example/dir" },
      async look() {
        const issued = pebble.issued() - before;
        const records = NAMES.flatMap((name) => bind.dig(`_acme-challenge.${name}`, "TXT"));
        if (records.length > 0) return "other";
        if (!existsSync(deliver)) return issued === 0 ? "before" : "other";
        const shown = spawnSync("/usr/bin/openssl", ["x509", "-in", deliver, "-noout", "-checkhost", NAMES[1]], {
          encoding: "utf8",
        });
        return issued === 1 && shown.stdout.includes("does match") ? "after" : "other";
      },
      async end() {
        removeAll([folder]);
      },
    };
  },
);
