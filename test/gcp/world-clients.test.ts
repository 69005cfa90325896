/**
 * Google's own clients, without any of our code, pass on the world: for Node over the descriptors in their packages, for Python over the discovery
 * documents, each speaking TLS. What they send and what they make of the answers is theirs: that the world is as Google describes it.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { python } from "../python.ts";
import { groupOf } from "./account.ts";
import { REQUIREMENTS } from "./world/discovery.ts";
import { makeIdentity } from "./world/tls.ts";
import { startWorld, type World } from "./world/world.ts";

// Their own declarations are 32 MB, which tsc would read each time.
type Call = (request: object) => Promise<[Record<string, unknown>]>;
type Listing = (request: object) => Promise<[Record<string, unknown>[]]>;
type Made = new (
  options: object,
) => Readonly<Record<"get" | "resize" | "fetchCaCerts" | "createCertificate" | "getCertificate", Call>> &
  Readonly<Record<"listManagedInstances" | "list", Listing>>;
const required = createRequire(import.meta.url);
const { InstanceGroupManagersClient, RegionInstanceGroupManagersClient, ZoneOperationsClient } = required(
  "@google-cloud/compute",
) as Readonly<Record<string, Made>> as Readonly<
  Record<"InstanceGroupManagersClient" | "RegionInstanceGroupManagersClient" | "ZoneOperationsClient", Made>
>;
const { CertificateAuthorityServiceClient } = required("@google-cloud/security-private-ca") as Readonly<
  Record<"CertificateAuthorityServiceClient", Made>
>;

const folder = mkdtempSync(join(tmpdir(), "reeve-gcp-clients-"));
const identity = makeIdentity(folder);
let world: World;
let regional: World;
beforeAll(async () => {
  [world, regional] = await Promise.all([startWorld({ identity }), startWorld({ identity, regional: true })]);
  for (const one of [world, regional])
    Object.assign(one.scaling, { operationMilliseconds: 200, launchMilliseconds: 400, page: 2 });
  world.syncing.syncMilliseconds = 200;
}, 600_000);
afterAll(async () => {
  await Promise.all([world?.stop(), regional?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => {
  expect([...world.problems, ...regional.problems]).toEqual([]);
});

/** What a client of Node's is made with: the world's token, over a fetch that trusts the world's certificate. */
function options(of: World, service: "compute" | "privateca") {
  const { hostname, port } = new URL(of.endpoints[service]);
  const auth = {
    getClient: async () => ({ universeDomain: "googleapis.com" }),
    fetch: (url: string, { agent: _, ...init }: RequestInit & { agent?: unknown }) => {
      const headers = new Headers(init.headers);
      headers.set("authorization", `Bearer ${of.token()}`);
      return fetch(url, { ...init, headers, tls: { ca: identity.ca } });
    },
  };
  return { fallback: true, apiEndpoint: hostname, port: Number(port), auth: auth as never };
}

const until = async (holds: () => Promise<boolean>): Promise<void> => {
  for (const end = Date.now() + 30_000; !(await holds()); await Bun.sleep(50))
    if (Date.now() > end) throw new Error("it never became so");
};

test("@google-cloud/compute: a zonal group is read, listed page by page, resized once by one request id, and its operation awaited", async () => {
  const groups = new InstanceGroupManagersClient(options(world, "compute"));
  const operations = new ZoneOperationsClient(options(world, "compute"));
  const [zone, instanceGroupManager] = groupOf(world).split("/");
  const at = { project: world.project, zone: zone ?? "", instanceGroupManager: instanceGroupManager ?? "" };
  const [before] = await groups.get(at);
  expect(before).toMatchObject({ name: at.instanceGroupManager, targetSize: 2, status: { isStable: true } });
  const requestId = crypto.randomUUID();
  const [first] = await groups.resize({ ...at, size: 5, requestId });
  const [again] = await groups.resize({ ...at, size: 5, requestId });
  const name = (first["latestResponse"] as { name?: string }).name ?? "";
  expect((again["latestResponse"] as { name?: string }).name).toBe(name);
  await until(
    async () => (await operations.get({ project: at.project, zone: at.zone, operation: name }))[0]["status"] === "DONE",
  );
  await until(async () => {
    const { status } = (await groups.get(at))[0] as { status?: { isStable?: boolean } };
    return status?.isStable === true;
  });
  const [instances] = await groups.listManagedInstances(at);
  expect(instances.map(({ currentAction, instanceStatus }) => [currentAction, instanceStatus])).toEqual(
    Array(5).fill(["NONE", "RUNNING"]),
  );
  const [listed] = await operations.list({
    project: at.project,
    zone: at.zone,
    filter: `clientOperationId = "${requestId}"`,
  });
  expect(listed.map(({ name: one, clientOperationId }) => [one, clientOperationId])).toEqual([[name, requestId]]);
}, 60_000);

test("@google-cloud/compute: a regional group, one that is not there, and a permission that is missing", async () => {
  const groups = new RegionInstanceGroupManagersClient(options(regional, "compute"));
  const at = { project: regional.project, region: regional.region, instanceGroupManager: groupOf(regional) };
  expect((await groups.get(at))[0]["targetSize"]).toBe(2);
  await expect(groups.get({ ...at, instanceGroupManager: "absent" })).rejects.toMatchObject({ code: 5 });
  regional.allow([
    {
      member: `serviceAccount:${regional.account}`,
      resource: `projects/${regional.project}`,
      permissions: ["compute.instanceGroupManagers.get"],
    },
  ]);
  await expect(groups.resize({ ...at, size: 3 })).rejects.toMatchObject({
    code: 7,
    message: expect.stringContaining("compute.instanceGroupManagers.update"),
  });
  regional.allow(null);
}, 60_000);

test("@google-cloud/security-private-ca: a certificate is created once by one request id, found by its name, and another name is another", async () => {
  const authority = new CertificateAuthorityServiceClient(options(world, "privateca"));
  const [{ caCerts = [] }] = await authority.fetchCaCerts({ caPool: world.pool });
  expect(caCerts).toHaveLength(1);
  const { publicKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const spki = Buffer.from(await crypto.subtle.exportKey("spki", publicKey)).toString("base64");
  const pem = `-----BEGIN PUBLIC KEY-----\n${spki}\n-----END PUBLIC KEY-----\n`;
  const certificate = {
    lifetime: { seconds: 3600 },
    config: {
      publicKey: { format: "PEM" as const, key: Buffer.from(pem) },
      subjectConfig: { subject: { commonName: "a.example.com" }, subjectAltName: { dnsNames: ["a.example.com"] } },
      x509Config: {
        caOptions: { isCa: false },
        keyUsage: { baseKeyUsage: { digitalSignature: true }, extendedKeyUsage: { serverAuth: true } },
      },
    },
  };
  const ask = { parent: world.pool, certificateId: "one", requestId: crypto.randomUUID(), certificate };
  const [first] = await authority.createCertificate(ask);
  const [again] = await authority.createCertificate(ask);
  expect(again["pemCertificate"]).toBe(first["pemCertificate"] as string);
  expect(first).toMatchObject({ name: `${world.pool}/certificates/one`, subjectMode: "DEFAULT" });
  const [found] = await authority.getCertificate({ name: first["name"] });
  expect(found["pemCertificate"]).toBe(first["pemCertificate"] as string);
  await expect(authority.createCertificate({ ...ask, requestId: crypto.randomUUID() })).rejects.toMatchObject({
    code: 6,
  });
  await expect(authority.getCertificate({ name: `${world.pool}/certificates/two` })).rejects.toMatchObject({ code: 5 });
}, 60_000);

test("google-api-python-client: Cloud DNS, and the other two beside it", async () => {
  writeFileSync(
    join(folder, "ask.json"),
    JSON.stringify({
      ...world.endpoints,
      ca: join(folder, "ca.pem"),
      token: world.token(),
      project: world.project,
      zone: world.zone.split("/").at(-1),
      name: `www.${world.zoneName}.`,
      pool: world.pool,
      group: groupOf(world),
    }),
  );
  const child = spawn(python(REQUIREMENTS), [join(import.meta.dir, "official/client.py"), join(folder, "ask.json")], {
    env: { PATH: "/usr/bin:/bin" },
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const code = await new Promise((closed) => child.once("close", closed));
  expect([code, err]).toEqual([0, ""]);
  console.log(
    out
      .trim()
      .split("\n")
      .map((line) => `      ${line}`)
      .join("\n"),
  );
  expect(out.trim().split("\n").length).toBeGreaterThan(8);
}, 600_000);
