import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { World } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";
import { AGENT, AS_AGENT, doctor, having, levels, line, type Report, tokenOf, worldOfTwo } from "./looked.ts";
import { freePort, HOST, NAMELESS, type RealProxy, squid, tinyproxy } from "./proxies.ts";
import { genuine, impostor, type StandIn, silent } from "./servers.ts";

requireDebian({ tinyproxy: "tinyproxy", squid: "squid-openssl", unshare: "util-linux", openssl: "openssl" });

const LONG = 120_000;
let w: World;
const ending: { end(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of ending.splice(0).reverse()) await one.end();
});
async function standing(made: Promise<StandIn>): Promise<StandIn> {
  const one = await made;
  ending.push(one);
  return one;
}

describe("whoever stands where the control plane was", () => {
  beforeAll(async () => {
    w = await worldOfTwo();
    const gone = new Promise((resolve) => w.control.once("exit", resolve));
    w.control.kill("SIGKILL");
    await gone;
  }, LONG);
  afterAll(async () => {
    await w?.end();
  }, LONG);

  /** doctor in a process of its own would block this one's servers: so it runs beside them. */
  const looked = (): Promise<Report> => beside(w.config);

  test(
    "interception is told by whose certificate it is, and that the pin protects; nothing goes inside",
    async () => {
      const server = await standing(impostor(w, "its own root"));
      const report = await looked();
      const pin = line(report, "tls-pin");
      expect(pin.level).toBe("fail");
      expect(pin.found).toStartWith(
        `TLS to ${w.ports.enrol} is intercepted: the certificate is by O=Example Corp, CN=Inspection`,
      );
      expect(pin.hint).toContain("The pin protects you: nothing was sent.");
      expect(pin.hint).toContain(`Exempt ${w.ports.enrol} from TLS inspection`);
      expect(line(report, "endpoint").level).toBe("fail");
      expect(server.connections()).toBeGreaterThan(0);
      expect(server.inside()).toBe(0);
      expect(report.text).not.toContain(readFileSync(tokenOf(w), "utf8").slice(0, 24));
    },
    LONG,
  );

  test(
    "the genuine root beside a rogue certificate does not pass, and nothing goes inside",
    async () => {
      const server = await standing(impostor(w, "the genuine root"));
      const pin = line(await looked(), "tls-pin");
      expect([pin.level, pin.found.includes("shows the pinned root, but its own certificate")]).toEqual(["fail", true]);
      expect(server.inside()).toBe(0);
    },
    LONG,
  );

  test(
    "a clock that differs from the control plane's by over a minute fails, half of that warns, and which way is said",
    async () => {
      for (const [ahead, level, words] of [
        [600_000, "fail", /it is (?:9 min 59 s|10 min).* behind the control plane's/],
        [-600_000, "fail", /it is (?:9 min 59 s|10 min).* ahead of the control plane's/],
        [45_000, "warn", /it is 4\d s behind/],
        [0, "ok", /both agree/],
      ] as const) {
        const server = await genuine(w, ahead);
        const found = line(await looked(), "clock", "against the control plane");
        await server.end();
        expect([found.level, found.found]).toEqual([level, expect.stringMatching(words)]);
      }
    },
    LONG,
  );

  test(
    "a server that says nothing is told as that, and doctor ends all the same",
    async () => {
      await standing(silent(w));
      const report = await looked();
      expect(line(report, "endpoint").found).toContain("not reached (timeout)");
      expect(line(report, "endpoint").hint).toContain("firewall");
      expect(report.milliseconds).toBeLessThan(15_000);
    },
    LONG,
  );
});

describe("a proxy in the config", () => {
  beforeAll(async () => {
    w = await worldOfTwo({ host: HOST });
  }, LONG);
  afterAll(async () => {
    await w?.end();
  }, LONG);
  const behind = (egress: string): Promise<Report> =>
    having(w.config, `${readFileSync(w.config, "utf8")}egress: ${egress}\n`, () => beside(w.config, NAMELESS));
  const running = async (made: Promise<RealProxy>): Promise<RealProxy> => {
    const proxy = await made;
    ending.push(proxy);
    return proxy;
  };

  test(
    "that gives a tunnel is ok, and the names are its to look up; one stray endpoint is a warning",
    async () => {
      const proxy = await running(tinyproxy());
      const report = await behind(`{ proxy: "http://127.0.0.1:${proxy.port}", endpoints: { "${HOST}:9": direct } }`);
      expect(levels(report, "fail")).toEqual([]);
      expect(line(report, "proxy", "gives a tunnel").found).toBe(`gives a tunnel to ${w.ports.enrol}`);
      expect(line(report, "proxy", `${HOST}:9`).level).toBe("warn");
      expect(line(report, "dns").found).toContain("the proxy looks the endpoints up");
      expect(line(report, "endpoint").found).toContain("through the proxy");
      expect(line(report, "clock", "against the control plane").level).toBe("ok");
    },
    LONG,
  );

  test(
    "that refuses is told by its status: 407 asks for credentials, 403 for the port",
    async () => {
      const asking = await running(tinyproxy("BasicAuth reeve squeamish-ossifrage"));
      const first = await behind(`{ proxy: "http://127.0.0.1:${asking.port}" }`);
      expect(line(first, "proxy")).toMatchObject({ level: "fail", found: "it answers 407 to CONNECT" });
      expect(line(first, "proxy").hint).toContain("credentials_file");
      const file = join(w.folder, "credentials");
      writeFileSync(file, "reeve:squeamish-ossifrage\n", { mode: 0o644 });
      const egress = `{ proxy: { url: "http://127.0.0.1:${asking.port}", credentials_file: ${file} } }`;
      expect(line(await behind(egress), "proxy").found).toBe("credentials open to others");
      chmodSync(file, 0o600);
      // root's, and the agent's user cannot read it.
      expect(line(await behind(egress), "proxy").found).toBe("credentials EACCES");
      chownSync(file, AGENT, AGENT);
      const last = await behind(egress);
      expect(line(last, "proxy")).toMatchObject({ level: "ok" });
      expect(last.text).not.toContain("squeamish");
      const narrow = await running(tinyproxy("ConnectPort 443"));
      const refused = line(await behind(`{ proxy: "http://127.0.0.1:${narrow.port}" }`), "proxy");
      expect([refused.found, refused.hint?.includes(`have CONNECT to ${w.ports.enrol} allowed`)]).toEqual([
        "it answers 403 to CONNECT",
        true,
      ]);
    },
    LONG,
  );

  test(
    "that is not there, says nothing or is no proxy is told as that",
    async () => {
      const free = await freePort();
      expect(line(await behind(`{ proxy: "http://127.0.0.1:${free}" }`), "proxy").found).toBe("no tunnel (refused)");
      expect(line(await behind('{ proxy: "http://proxy.corp.invalid:3128" }'), "dns")).toMatchObject({
        level: "fail",
        looked_at: "proxy.corp.invalid",
      });
      const mute = await listening(() => undefined);
      const report = await behind(`{ proxy: "http://127.0.0.1:${mute.port}" }`);
      expect(line(report, "proxy").found).toBe("it does not answer in time");
      expect(report.milliseconds).toBeLessThan(15_000);
      const ssh = await listening((socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"));
      expect(line(await behind(`{ proxy: "http://127.0.0.1:${ssh.port}" }`), "proxy").hint).toContain("no HTTP proxy");
    },
    LONG,
  );

  test(
    "that looks into TLS is found out by the pin: whose certificate it is, and what to exempt",
    async () => {
      const proxy = await running(squid({ inspect: true }));
      const report = await behind(`{ proxy: "http://127.0.0.1:${proxy.port}" }`);
      expect(line(report, "tls-pin").found).toStartWith(
        `TLS to ${w.ports.enrol} is intercepted: the certificate is by O=Example Corp, CN=Inspection`,
      );
      expect(line(report, "tls-pin").hint).toContain(`Exempt ${w.ports.enrol}`);
      expect(proxy.log()).not.toMatch(/ (?:GET|POST|PRI) /);
    },
    LONG,
  );

  test(
    "a machine behind one that has joined sees both listeners through it",
    async () => {
      const proxy = await running(tinyproxy());
      writeFileSync(w.config, `${readFileSync(w.config, "utf8")}egress: { proxy: "http://127.0.0.1:${proxy.port}" }\n`);
      w.startAgent(...NAMELESS, ...AS_AGENT);
      await w.until("ready", () => w.reeve(["status"], "--json").code === 0, 30);
      const report = await beside(w.config, NAMELESS);
      expect(levels(report, "fail")).toEqual([]);
      expect(line(report, "proxy").found).toBe(`gives a tunnel to ${w.ports.enrol}, ${w.ports.agents}`);
      await proxy.stop();
      await w.until("out of contact", () => levels(doctor(w, NAMELESS), "fail").includes("contact"), 30);
      expect(line(doctor(w, NAMELESS), "proxy").found).toBe("no tunnel (refused)");
    },
    LONG,
  );
});

/** doctor while this process goes on serving. */
async function beside(config: string, before: readonly string[] = []): Promise<Report> {
  const began = performance.now();
  const child = Bun.spawn(
    [...before, join(import.meta.dir, "../../dist/reeve"), "doctor", "--json", "--config", config],
    {
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [text, more, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (text === "") throw new Error(`doctor said nothing: ${more}`);
  const { lines } = JSON.parse(text) as Pick<Report, "lines">;
  return { code, lines, text: text + more, milliseconds: performance.now() - began };
}

async function listening(then: (socket: import("node:net").Socket) => void): Promise<{ port: number }> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => undefined);
    then(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", () => resolve()));
  ending.push({
    end: () => {
      server.close();
      return Promise.resolve();
    },
  });
  return { port };
}
