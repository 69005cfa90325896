import { afterEach, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RULES, send, type World, world } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";
import { HOST, NAMELESS, type RealProxy, squid, tinyproxy } from "./proxies.ts";

requireDebian({ tinyproxy: "tinyproxy", squid: "squid-openssl", unshare: "util-linux", openssl: "openssl" });

const LONG = 120_000;
const ending: { end(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of ending.splice(0).reverse()) await one.end();
});

async function behind(egress: string): Promise<World> {
  const made = await world({ rules: RULES, host: HOST, config: egress });
  ending.push(made);
  return made;
}
async function running(proxy: Promise<RealProxy>): Promise<RealProxy> {
  const made = await proxy;
  ending.push(made);
  return made;
}
const through = (proxy: RealProxy, endpoints = "{}"): string =>
  `egress: { proxy: "http://127.0.0.1:${proxy.port}", endpoints: ${endpoints} }\n`;
const ready = (w: World): Promise<void> => w.until("ready", () => w.reeve(["status"], "--json").code === 0, 30);
const said = (w: World): string => {
  const path = join(w.folder, "agent.err");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
};
const contact = (w: World): unknown =>
  (JSON.parse(w.reeve(["status"], "--json").stdout) as { out_of_contact: unknown }).out_of_contact;

/** Remote ports of a process's own TCP connections, by the kernel's tables. */
function remotePorts(pid: number): number[] {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        // Closed since it was listed.
        return "";
      }
    }),
  );
  return readFileSync(`/proc/${pid}/net/tcp`, "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((row) => own.has(`socket:[${row[9]}]`))
    .map((row) => Number.parseInt(row[2]?.split(":")[1] ?? "0", 16));
}

test(
  "a machine that can look up no name joins, polls and acts through the proxy that the config names, and not without",
  async () => {
    const proxy = await running(tinyproxy());
    const w = await behind("");
    const alone = w.startAgent(...NAMELESS);
    await w.until("it says why it does not get there", () =>
      said(w).includes(`Cannot reach https://${w.ports.enrol}: dns.`),
    );
    alone.kill("SIGKILL");
    expect(existsSync(join(w.folder, "token"))).toBe(true);

    writeFileSync(w.config, readFileSync(w.config, "utf8") + through(proxy));
    const agent = w.startAgent(...NAMELESS);
    await ready(w);
    const sent = send(w, "scale", "--group", "brokers", "--count", "2");
    expect(sent.stderr).not.toContain("error");
    expect(sent.code).toBe(0);
    expect(w.pids().length).toBe(2);
    expect([...new Set(remotePorts(agent.pid ?? 0))]).toEqual([proxy.port]);
    expect(proxy.log()).toContain(`CONNECT ${w.ports.enrol} HTTP/1.1`);
    expect(proxy.log()).toContain(`CONNECT ${w.ports.agents} HTTP/1.1`);
  },
  LONG,
);

test(
  "squid does as well, and what passes it is not to be read: it sees a tunnel",
  async () => {
    const proxy = await running(squid({ inspect: false }));
    const w = await behind(through(proxy));
    w.startAgent(...NAMELESS);
    await ready(w);
    expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
    await w.until("squid has written of it", () => proxy.log().includes(`CONNECT ${w.ports.enrol}`));
    expect(proxy.log()).not.toMatch(/ (?:GET|POST) /);
  },
  LONG,
);

test(
  "an endpoint that is called direct does not meet the proxy, the others do",
  async () => {
    const proxy = await running(tinyproxy());
    const w = await behind("");
    writeFileSync(w.config, readFileSync(w.config, "utf8") + through(proxy, `{ "${w.ports.agents}": direct }`));
    // Joining works through the proxy; the agents' listener has a name that nobody here knows.
    w.startAgent(...NAMELESS);
    await w.until("joined, and without contact", () => said(w).includes("no contact") && said(w).includes("dns"), 30);
    expect(proxy.log()).toContain(`CONNECT ${w.ports.enrol}`);
    expect(proxy.log()).not.toContain(`CONNECT ${w.ports.agents}`);
  },
  LONG,
);

test(
  "a proxy that goes away is told as that; nothing changes meanwhile, and it goes on when the proxy is back",
  async () => {
    const proxy = await running(tinyproxy());
    const w = await behind(through(proxy));
    w.startAgent(...NAMELESS);
    await ready(w);
    await proxy.stop();
    await w.until("it is out of contact", () => contact(w) !== null, 30);
    const before = w.entries().length;
    expect(w.pids().length).toBe(0);
    await proxy.start();
    await w.until("it is in contact again", () => contact(w) === null, 90);
    expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
    expect(w.entries().length).toBeGreaterThan(before);
  },
  LONG,
);

test(
  "a proxy that asks for credentials gets them from a file that is closed to others, and from nowhere else",
  async () => {
    const proxy = await running(tinyproxy("BasicAuth reeve squeamish-ossifrage"));
    const w = await behind(through(proxy));
    const first = w.startAgent(...NAMELESS);
    await w.until("407", () => said(w).includes("proxy: 407"));
    first.kill("SIGKILL");
    expect(said(w)).toContain("credentials_file");

    const file = join(w.folder, "proxy-credentials");
    writeFileSync(file, "reeve:squeamish-ossifrage\n", { mode: 0o644 });
    const url = `http://127.0.0.1:${proxy.port}`;
    writeFileSync(
      w.config,
      readFileSync(w.config, "utf8").replace(
        through(proxy),
        `egress: { proxy: { url: "${url}", credentials_file: ${file} } }\n`,
      ),
    );
    const asked = (): number => proxy.log().split(`CONNECT ${w.ports.enrol}`).length;
    const before = asked();
    const agent = w.startAgent(...NAMELESS);
    await w.until("the open file is not taken", () => said(w).includes("proxy: credentials open to others"));
    expect(asked()).toBe(before);
    // The same process: the file is read for each connection.
    chmodSync(file, 0o600);
    await ready(w);
    expect(agent.exitCode).toBe(null);
    expect(said(w)).not.toContain("squeamish");
  },
  LONG,
);

test(
  "a proxy that permits other ports only is told by its status, with what to ask for",
  async () => {
    const proxy = await running(tinyproxy("ConnectPort 443"));
    const w = await behind(through(proxy));
    w.startAgent(...NAMELESS);
    await w.until("403", () => said(w).includes("proxy: 403"));
    expect(said(w)).toContain(`have CONNECT to ${w.ports.enrol} allowed`);
    expect(existsSync(join(w.folder, "token"))).toBe(true);
  },
  LONG,
);

test(
  "a proxy that looks into TLS gets nothing: the pin holds, the token stays, and no request was made",
  async () => {
    const proxy = await running(squid({ inspect: true }));
    const w = await behind(through(proxy));
    const token = readFileSync(join(w.folder, "token"), "utf8");
    const agent = w.startAgent(...NAMELESS);
    await w.until("it stops", () => agent.exitCode !== null);
    expect(agent.exitCode).toBe(6);
    expect(said(w)).toContain("Someone may stand in between");
    expect(readFileSync(join(w.folder, "token"), "utf8")).toBe(token);
    await w.until("squid has written of it", () => proxy.log().includes("CONNECT"));
    expect(proxy.log()).not.toMatch(/ (?:GET|POST|PRI) /);
  },
  LONG,
);

test(
  "an agent that has joined gives an inspecting proxy neither its certificate's use nor a report",
  async () => {
    const plain = await running(squid({ inspect: false }));
    const inspecting = await running(squid({ inspect: true }));
    const w = await behind(through(plain));
    const agent = w.startAgent(...NAMELESS);
    await ready(w);
    agent.kill("SIGKILL");
    writeFileSync(w.config, readFileSync(w.config, "utf8").replace(`:${plain.port}"`, `:${inspecting.port}"`));
    w.startAgent(...NAMELESS);
    await w.until("no contact", () => /no contact.*tls: /.test(said(w)), 30);
    await w.until("squid has written of it", () => inspecting.log().includes("CONNECT"));
    expect(inspecting.log()).not.toMatch(/ (?:GET|POST|PRI) /);
  },
  LONG,
);
