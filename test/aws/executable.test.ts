import { afterEach, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { importsOf, sources, withoutComments } from "../architecture/sources.ts";
import { group, OWN, scaleWorld } from "./groups.ts";

const REEVE = resolve(import.meta.dir, "../../dist/reeve");
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

type World = Awaited<ReturnType<typeof scaleWorld>>;
type Line = { check: string; level: string; looked_at: string; found: string; hint: string | null };

/** What the compiled executable's doctor says of the provider, with the config's role and whatever the world says. */
async function doctor(change: (world: World) => void = () => undefined) {
  const world = await scaleWorld(group(2));
  change(world);
  const folder = mkdtempSync(join(tmpdir(), "reeve-aws-doctor-"));
  ends.push(
    () => world.close(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  mkdirSync(join(folder, "owner"));
  const names = ["autoscaling", "acm-pca", "route53", "sts", "metadata"];
  const config = `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://127.0.0.1:1", trust_sha256: ${"A".repeat(43)} }
state: ${folder}/state
runtime: ${folder}/run
owner: { directory: ${folder}/owner }
token: { file: ${folder}/token }
provider: aws
aws:
  account: "111122223333"
  role: reeve
  region: eu-west-1
  partition: aws
  endpoints: { ${names.map((name) => `${name}: "${world.url}"`).join(", ")} }
`;
  writeFileSync(join(folder, "reeve.yaml"), config, { mode: 0o644 });
  const child = spawn(REEVE, ["doctor", "--json", "--config", join(folder, "reeve.yaml")], {
    env: { PATH: "/usr/bin" },
  });
  let out = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  await new Promise((closed) => child.on("close", closed));
  const { lines } = JSON.parse(out) as { lines: Line[] };
  const of = (part: string) =>
    lines.find((line) => line.check === "provider" && line.looked_at.startsWith(`aws ${part}`));
  return { of, asked: world.names() };
}

test("doctor, in the compiled executable, says whose the credentials are and what can be reached, by one question", async () => {
  const { of, asked } = await doctor();
  expect(of("metadata")).toMatchObject({ level: "ok", found: `this machine is ${OWN}` });
  expect(of("role reeve")).toMatchObject({ level: "ok", found: expect.stringContaining("account 111122223333") });
  for (const service of ["autoscaling", "acm-pca", "route53", "sts"])
    expect([service, of(service)?.level]).toEqual([service, "ok"]);
  expect(asked).toEqual(["GetCallerIdentity"]);
});

test("doctor names the group that the agent runs in", async () => {
  const { of } = await doctor((world) => {
    world.state.tag = "agents";
  });
  expect(of("own group")?.found).toBe("the agent runs in the group agents, which is never scaled");
});

test("doctor says that the credentials are another account's, and what to compare", async () => {
  const { of } = await doctor((world) => {
    world.state.arn = "arn:aws:sts::999999999999:assumed-role/reeve/i-0";
    world.state.account = "999999999999";
  });
  expect(of("role reeve")).toMatchObject({
    level: "fail",
    found: expect.stringContaining("identity-account"),
    hint: expect.stringContaining("aws.account"),
  });
});

test("doctor without a metadata service says so, and asks AWS nothing", async () => {
  const { of, asked } = await doctor((world) => {
    world.state.machine = false;
  });
  for (const part of ["metadata", "role reeve"])
    expect(of(part)).toMatchObject({ level: "fail", found: expect.stringContaining("metadata-refused") });
  expect(asked).toEqual([]);
});

test("nothing of the provider for AWS is evaluated unless the config names it: only main reaches it, and only by import()", () => {
  const outside = sources(["agent", "policy", "providers", "control"]).filter(
    (source) => !source.path.startsWith("providers/aws/") && importsOf(source).some((name) => brings(name)),
  );
  expect(outside.map(({ path }) => path)).toEqual(["agent/main.ts"]);
  const text = withoutComments(outside[0]?.text ?? "");
  expect(text).toContain('await import("../providers/aws/aws.ts")');
  expect(text).not.toMatch(/^import[^;]*(?:providers\/aws|@aws-sdk|@smithy)/m);
});

/** Plain data may be read by anyone; what brings the SDK may not. */
function brings(name: string): boolean {
  if (name === "providers/aws/operations.ts") return false;
  return name.startsWith("providers/aws/") || name.startsWith("@aws-sdk/") || name.startsWith("@smithy/");
}
