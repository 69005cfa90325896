/**
 * Calls to AWS through the proxy of the config: a real tinyproxy, and behind it the world that stands for AWS, under TLS with the names of
 * AWS's own endpoints, which nobody but the proxy knows.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTls } from "node:tls";
import { type Dial, dialer } from "../../agent/host/dial.ts";
import type { Egress } from "../../agent/host/proxy.ts";
import { AwsConfig } from "../../agent/providerConfig/aws.ts";
import { awsProvider } from "../../providers/aws/aws.ts";
import { type GateOperation, makeGate } from "../../providers/gate.ts";
import { CallFailed } from "../../providers/provider.ts";
import { REEVE } from "../e2e/world.ts";
import { NAMELESS, type RealProxy, tinyproxy } from "../owner/proxies.ts";
import { bare, certificates, until } from "../providers/counterpart.ts";
import { requireDebian } from "../tools.ts";
import { COMMAND, SETTING } from "./fixture.ts";
import { type Moto, startMoto } from "./world/moto.ts";
import { startWorld, type World } from "./world/world.ts";

requireDebian({ tinyproxy: "tinyproxy", unshare: "util-linux", openssl: "openssl" });

const SERVICES = ["autoscaling", "acm-pca", "route53", "sts"] as const;
const folder = mkdtempSync(join(tmpdir(), "reeve-tunnel-"));
const fronts: Record<string, Front> = {};
const names = ["autoscaling", "acm-pca", "sts"].map((service) => `${service}.eu-west-1.amazonaws.com`);
const ROUTE53 = "route53.amazonaws.com";
const nameOf = (service: string): string => names.find((name) => name.startsWith(`${service}.`)) ?? ROUTE53;
const ending: { end(): Promise<void> }[] = [];
let moto: Moto;
let cloud: World;

type Front = { readonly server: Server; readonly port: number; bytes: number };
/** TLS in front of one service of the world. */
async function front(service: (typeof SERVICES)[number], certificate: string): Promise<Front> {
  const files = {
    cert: readFileSync(join(folder, `${certificate}.pem`)),
    key: readFileSync(join(folder, `${certificate}.key`)),
  };
  const upstream = Number(new URL(cloud.endpoints[service]).port);
  const server = createTls(files, (socket: Socket) => {
    const inner = connect(upstream, "127.0.0.1");
    socket.on("data", (chunk: Buffer) => {
      self.bytes += chunk.length;
      inner.write(chunk);
    });
    inner.on("data", (chunk: Buffer) => socket.write(chunk));
    inner.on("end", () => socket.end());
    for (const [one, other] of [
      [socket, inner],
      [inner, socket],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const self: Front = { server, port: (server.address() as AddressInfo).port, bytes: 0 };
  return self;
}

beforeAll(async () => {
  certificates(folder, { aws: [...names, ROUTE53].map((name) => `DNS:${name}`).join(","), other: "DNS:other.example" });
  moto = await startMoto();
  cloud = await startWorld(moto, { group: { min: 1, max: 9, desired: 2 } });
  for (const service of SERVICES) fronts[service] = await front(service, "aws");
}, 600_000);
afterEach(async () => {
  for (const one of ending.splice(0)) await one.end();
});
afterAll(async () => {
  for (const { server } of Object.values(fronts)) server.close();
  await cloud?.stop();
  await moto?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

async function proxied(more = "", known: readonly string[] = [...names, ROUTE53]): Promise<RealProxy> {
  const proxy = await tinyproxy(more, known);
  ending.push(proxy);
  return proxy;
}
const urlOf = (service: (typeof SERVICES)[number]): string => `https://${nameOf(service)}:${fronts[service]?.port}`;
function config(): AwsConfig {
  const { account, role, region, endpoints } = cloud;
  const services = Object.fromEntries(SERVICES.map((service) => [service, urlOf(service)]));
  return AwsConfig.parse({
    account,
    role,
    region,
    partition: "aws",
    endpoints: { ...services, metadata: endpoints.metadata },
  });
}
/** Lines of the proxy's log that ask for a tunnel to this service. */
const tunnels = (proxy: RealProxy, service: (typeof SERVICES)[number]): number =>
  proxy.log().split(`CONNECT ${nameOf(service)}:${fronts[service]?.port} HTTP/1.1`).length - 1;
const callsOf = (service: string): number => cloud.calls.filter((made) => made.service === service).length;

/** One scaling of the group with the provider as the agent makes it, its connections as `egress` has them, by the tests' own CA. */
async function scaled(egress: Egress, count: number) {
  const roots = [readFileSync(join(folder, "ca.pem"), "utf8")];
  const dial: Dial = (to, wait) => dialer(egress)({ ...to, roots }, wait);
  const provider = await awsProvider({ ...SETTING, dial }, config());
  const recorded: GateOperation[] = [];
  const args = { group: cloud.group.name, count };
  const gate = makeGate({
    table: provider.scale.operations,
    places: provider.scale.places(args),
    resource: cloud.group.name,
    phase: "all",
    beforeChange: () => undefined,
    now: () => performance.now(),
    record: (operation) => recorded.push(operation),
  });
  const errand = { id: COMMAND, signal: AbortSignal.timeout(60_000) };
  const described = await provider.scale.describe(gate, args, errand).catch((error: unknown) => {
    if (error instanceof CallFailed) return error;
    throw error;
  });
  const executed = "state" in described ? await provider.scale.execute(gate, args, described.state, errand) : null;
  return { described, executed, recorded };
}
const by = (proxy: { readonly port: number }, direct: readonly string[] = []): Egress => ({
  proxy: { place: { host: "127.0.0.1", port: proxy.port }, credentials: null },
  direct: new Set(direct),
});

test("each call has a tunnel of its own, TLS reaches from end to end, and the metadata service is never asked through it", async () => {
  const proxy = await proxied();
  const before = { scaling: callsOf("autoscaling"), identity: callsOf("sts"), metadata: cloud.metadataCalls.length };
  const { executed, recorded } = await scaled(by(proxy), 4);
  expect(executed?.result).toBe("succeeded");
  expect((await cloud.look.group()).desired).toBe(4);
  const made = callsOf("autoscaling") - before.scaling;
  expect(made).toBeGreaterThan(3);
  expect(recorded).toHaveLength(made);
  await until(
    "tinyproxy has written of each",
    () => tunnels(proxy, "autoscaling") >= made && tunnels(proxy, "sts") > 0,
  );
  expect(tunnels(proxy, "autoscaling")).toBe(made);
  expect(tunnels(proxy, "sts")).toBe(callsOf("sts") - before.identity);
  expect(cloud.metadataCalls.length).toBeGreaterThan(before.metadata);
  expect(proxy.log()).not.toContain(`:${new URL(cloud.endpoints.metadata).port}`);
  expect(proxy.log()).not.toMatch(/: (?:GET|POST|PUT) /);
}, 120_000);

test("what stands at the name's place with another's certificate gets no byte of the call", async () => {
  const proxy = await proxied();
  const mine = fronts["autoscaling"];
  const other = await front("autoscaling", "other");
  fronts["autoscaling"] = other;
  try {
    const { described, recorded } = await scaled(by(proxy), 5);
    expect(described).toMatchObject({ status: "tls", effect: "none" });
    expect([tunnels(proxy, "autoscaling"), other.bytes, recorded]).toEqual([1, 0, []]);
  } finally {
    if (mine !== undefined) fronts["autoscaling"] = mine;
    other.server.close();
  }
}, 120_000);

test.each([
  [
    "no proxy there",
    "proxy-unreachable",
    async () => {
      const proxy = await proxied();
      await proxy.stop();
      return proxy;
    },
  ],
  ["one that permits other ports only", "proxy-denied", () => proxied("ConnectPort 443")],
  ["one that wants a password", "proxy-credentials", () => proxied("BasicAuth reeve squeamish-ossifrage")],
  ["one that knows no such name", "proxy-failed", () => proxied("", ["elsewhere.invalid"])],
  [
    "a server that is no proxy",
    "proxy-malformed",
    async () => {
      const server = await bare((socket) => void socket.end("SSH-2.0-OpenSSH_9.2\r\n"));
      ending.push({ end: async () => server.close() });
      return server;
    },
  ],
] as const)(
  "%s: %s, and no call was made",
  async (_, status, start) => {
    const proxy = await start();
    const before = cloud.calls.length;
    const { described, recorded } = await scaled(by(proxy), 5);
    expect(described).toMatchObject({ status, effect: "none" });
    expect([recorded, cloud.calls.length - before]).toEqual([[], 0]);
  },
  120_000,
);

type Line = { check: string; level: string; looked_at: string; found: string; hint: string | null };
/**
 * What the compiled doctor says of the provider, where no name can be looked up. A variable widens whom it trusts, as `run` would not have
 * it.
 */
async function doctor(egress: string): Promise<(part: string) => Line | undefined> {
  const place = mkdtempSync(join(folder, "doctor-"));
  mkdirSync(join(place, "owner"));
  const { account, role, region, partition, endpoints } = config();
  const text = `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://127.0.0.1:1", trust_sha256: ${"A".repeat(43)} }
state: ${place}/state
runtime: ${place}/run
owner: { directory: ${place}/owner }
token: { file: ${place}/token }
provider: aws
aws: ${JSON.stringify({ account, role, region, partition, endpoints })}
${egress}`;
  writeFileSync(join(place, "reeve.yaml"), text, { mode: 0o644 });
  const env = { PATH: "/usr/bin:/bin", NODE_EXTRA_CA_CERTS: join(folder, "ca.pem") };
  const [program = "", ...words] = [...NAMELESS, REEVE, "doctor", "--json", "--config", join(place, "reeve.yaml")];
  const child = spawn(program, words, { env });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  await new Promise((closed) => child.once("close", closed));
  const { lines } = JSON.parse(out) as { lines: Line[] };
  return (part) => lines.find((line) => line.check === "provider" && line.looked_at.startsWith(`aws ${part}`));
}

test("the compiled doctor proves whose the credentials are and looks at each endpoint through the proxy, and through nothing else", async () => {
  const proxy = await proxied();
  const of = await doctor(`egress: { proxy: "http://127.0.0.1:${proxy.port}" }\n`);
  expect(of("metadata")).toMatchObject({ level: "ok" });
  expect(of(`role ${cloud.role}`)).toMatchObject({ level: "ok", found: expect.stringContaining(cloud.account) });
  for (const service of SERVICES) {
    expect([service, of(service)?.level]).toEqual([service, "ok"]);
    // One to look at the endpoint, and of sts one more for the question.
    const wanted = service === "sts" ? 2 : 1;
    await until("tinyproxy has written of it", () => tunnels(proxy, service) >= wanted);
    expect([service, tunnels(proxy, service)]).toEqual([service, wanted]);
  }
  expect(proxy.log()).not.toContain(`:${new URL(cloud.endpoints.metadata).port}`);
}, 120_000);

test("doctor says what the proxy says, with what to do; an endpoint that is called direct does not meet it", async () => {
  const proxy = await proxied("ConnectPort 443");
  const direct = `${nameOf("route53")}:${fronts["route53"]?.port}`;
  const of = await doctor(`egress: { proxy: "http://127.0.0.1:${proxy.port}", endpoints: { "${direct}": direct } }\n`);
  expect(of("metadata")).toMatchObject({ level: "ok" });
  for (const part of [`role ${cloud.role}`, "autoscaling", "acm-pca", "sts"]) {
    expect(of(part)).toMatchObject({ level: "fail", found: expect.stringContaining("proxy-denied: proxy: 403") });
    expect(of(part)?.hint).toContain("CONNECT");
  }
  expect(of("route53")?.found).toContain("dns: dns");
  expect(tunnels(proxy, "route53")).toBe(0);
}, 120_000);
