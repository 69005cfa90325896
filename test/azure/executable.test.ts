import { afterEach, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { importsOf, sources, withoutComments } from "../architecture/sources.ts";
import { world as machineWorld, REEVE, running } from "../e2e/world.ts";
import { begin, endAll } from "./fixture.ts";
import { stage } from "./stage.ts";
import { GROUP, LOCATION, SUBSCRIPTION, TENANT, type World } from "./world/world.ts";

afterEach(endAll);

type Line = { check: string; level: string; looked_at: string; found: string; hint: string | null };

/** What the compiled executable's doctor says of the provider, with the config's identity, the example policy and whatever the world says. */
async function doctor(change: (world: World) => void = () => undefined) {
  const { world, folder, chain } = await begin();
  change(world);
  mkdirSync(join(folder, "owner"));
  const owner = join(folder, "owner");
  writeFileSync(join(owner, "policy.yaml"), readFileSync(join(import.meta.dir, "policy.yaml")), { mode: 0o644 });
  writeFileSync(join(owner, "on"), "on\n");
  const config = `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://127.0.0.1:1", trust_sha256: ${"A".repeat(43)} }
state: ${folder}/agent
runtime: ${folder}/run
owner: { directory: ${owner}, uid: ${process.getuid?.() ?? 0} }
token: { file: ${folder}/token }
provider: azure
azure:
  environment: public
  tenant: ${TENANT}
  subscription: ${SUBSCRIPTION}
  resource_group: ${GROUP}
  location: ${LOCATION}
  principal: ${world.identity.principal}
  identity: system
  authorities: { ${world.vault.authority}: { version: "${world.vault.version}", chain: ${chain} } }
  endpoints: { arm: "${world.url}", vault: "${world.url}", metadata: "${world.url}" }
`;
  writeFileSync(join(folder, "reeve.yaml"), config, { mode: 0o644 });
  const child: ChildProcess = spawn(REEVE, ["doctor", "--json", "--config", join(folder, "reeve.yaml")], {
    env: { PATH: "/usr/bin" },
  });
  let out = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  await new Promise((closed) => child.once("close", closed));
  const { lines } = JSON.parse(out) as { lines: Line[] };
  const of = (part: string) =>
    lines.find((line) => line.check === "provider" && line.looked_at.startsWith(`azure ${part}`));
  return { world, of };
}

test("doctor, in the compiled executable, says whose the token is and what can be reached, and tries each read that the rules need", async () => {
  const { world, of } = await doctor();
  expect(of("metadata")).toMatchObject({ level: "ok", found: "this machine is agent" });
  expect(of("identity")).toMatchObject({ level: "ok", found: expect.stringContaining(TENANT) });
  expect(of("endpoint")).toMatchObject({ level: "ok" });
  expect(of("scale set brokers")).toMatchObject({ level: "ok", found: "it has 2 machines, and is Succeeded" });
  expect(of("authority prod-eu-1-ca/clients")).toMatchObject({
    level: "ok",
    found: expect.stringContaining("CN=clients"),
  });
  expect(of("zone prod-eu-1.example.com")).toMatchObject({ level: "ok" });
  expect(world.calls.filter(({ method, changed }) => method !== "GET" || changed)).toEqual([]);
  expect(world.calls.every(({ userAgent }) => userAgent.endsWith(" cmd/doctor"))).toBe(true);
});

test("doctor names the scale set that the agent runs in", async () => {
  const { of } = await doctor((world) => {
    world.machine.state.scaleSet = "agents";
  });
  expect(of("metadata")?.found).toContain("of the scale set agents, which is never scaled");
});

test("doctor says that a right is not there, and what to do", async () => {
  const { of } = await doctor((world) => {
    world.assignments = [];
  });
  for (const part of ["scale set", "authority", "zone"])
    expect(of(part)).toMatchObject({
      level: "fail",
      found: expect.stringContaining("denied"),
      hint: expect.stringContaining("policy permissions"),
    });
});

test("doctor says that the token is another tenant's, and what to compare", async () => {
  const { world, of } = await doctor((world) => {
    world.machine.state.claims = { tid: "99999999-9999-4999-8999-999999999999" };
  });
  expect(of("identity")).toMatchObject({
    level: "fail",
    found: expect.stringContaining("identity-tenant"),
    hint: expect.stringContaining("azure.tenant"),
  });
  expect(world.calls).toEqual([]);
});

test("doctor without a metadata service says so, and asks Azure nothing", async () => {
  const { world, of } = await doctor((world) => {
    world.machine.state.away = true;
  });
  for (const part of ["metadata", "identity"])
    expect(of(part)).toMatchObject({ level: "fail", found: expect.stringContaining("metadata-unreachable") });
  expect(world.calls).toEqual([]);
});

test("nothing of the provider for Azure is evaluated unless the config names it: only main reaches it, and only by import()", () => {
  const outside = sources(["agent", "policy", "providers", "control"]).filter(
    (source) => !source.path.startsWith("providers/azure/") && importsOf(source).some((name) => brings(name)),
  );
  expect(outside.map(({ path }) => path)).toEqual(["agent/main.ts"]);
  const text = withoutComments(outside[0]?.text ?? "");
  expect(text).toContain('await import("../providers/azure/azure.ts")');
  expect(text).not.toMatch(/^import[^;]*(?:providers\/azure|@azure)/m);
});

function brings(name: string): boolean {
  return name.startsWith("providers/azure/") || name.startsWith("@azure/");
}

/** The provider itself, without the SDK. */
const MORE_MB = 8;

/** Resident memory of a process, in MB. */
function megabytes(pid: number | undefined): number {
  const [, kilobytes = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1024;
}

test("an agent on Azure idles with what an agent with the local provider has: the SDK is not evaluated before the first call", async () => {
  const [s, local] = [await stage(), await machineWorld()];
  try {
    const beside = local.startAgent();
    await s.until(
      "the local one is ready",
      async () => (await running(REEVE, "status", "--json", "--config", local.config)).code === 0,
    );
    // What the runtime frees after the start, it frees in its own time.
    await s.until("both idle alike", () => megabytes(s.agent.pid) < megabytes(beside.pid) + MORE_MB);
    console.log(
      `      idle: ${megabytes(s.agent.pid).toFixed(0)} MB, with the local provider ${megabytes(beside.pid).toFixed(0)} MB`,
    );
    expect((await s.record("create", "10.20.0.1")).code).toBe(0);
    console.log(`      after a command: ${megabytes(s.agent.pid).toFixed(0)} MB`);
  } finally {
    await s.end();
    await local.end();
  }
}, 300_000);
