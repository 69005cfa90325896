import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exchange } from "../../providers/local/dnsServer.ts";
import { TYPES } from "../../providers/local/dnsWire.ts";
import { Halted, type Moment } from "../../providers/provider.ts";
import { bare, until } from "./counterpart.ts";
import { host } from "./world.ts";

const folder = mkdtempSync(join(tmpdir(), "reeve-dns-server-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(["connecting", "writing"] as const)(
  "what is switched off at %s sends the name server nothing",
  async (when) => {
    const server = await bare(() => undefined);
    const secret_file = join(folder, "secret");
    writeFileSync(secret_file, Buffer.alloc(32, 1).toString("base64"), { mode: 0o600 });
    const config = {
      server: `127.0.0.1:${server.port}`,
      tsig: { name: "reeve", algorithm: "hmac-sha256" as const, secret_file },
    };
    const what = { update: true, question: { name: "example.com", type: TYPES.SOA }, prerequisites: [], changes: [] };
    const moments: Moment[] = [];
    const errand = { id: "one", signal: new AbortController().signal };
    const sent = exchange(
      host,
      config,
      what,
      (place, moment) => {
        expect(place).toEqual({ host: config.server, region: "local", method: "UPDATE" });
        moments.push(moment);
        if (moment === when) throw new Halted("suspended");
      },
      errand,
    );
    expect(await sent.catch((error: unknown) => error)).toBeInstanceOf(Halted);
    expect(moments).toEqual(when === "connecting" ? ["connecting"] : ["connecting", "writing"]);
    if (when === "writing") await until("the connection came", () => server.heard.length === 1);
    expect(server.heard.join("")).toBe("");
    server.close();
  },
);
