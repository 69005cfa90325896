import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { bundling } from "../../build/bundling.ts";
import { toolEnvironment } from "../../build/command.ts";
import { ROOT } from "./sources.ts";

/** The bundler's own account of what it made: esbuild's metafile format. */
type Output = {
  readonly entryPoint?: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly imports: readonly { readonly path: string; readonly kind: string }[];
};
type Metafile = { readonly outputs: Readonly<Record<string, Output>> };

/** Bundled as build.ts does, with the bundler's account beside. */
function metafile(): Metafile {
  const folder = mkdtempSync(join(tmpdir(), "reeve-chunks-"));
  try {
    const words = bundling("agent/start.ts", join(folder, "reeve"), arch(), "0.0.0");
    const account = join(folder, "metafile.json");
    const made = spawnSync(process.execPath, [...words, `--metafile=${account}`], {
      cwd: ROOT,
      env: toolEnvironment(),
      encoding: "utf8",
    });
    if (made.status !== 0) throw new Error(made.stderr);
    return JSON.parse(readFileSync(account, "utf8")) as Metafile;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const { outputs } = metafile();

/** The output whose entry is this file; throws when it is no chunk of its own. */
function chunkOf(entry: string): string {
  const found = Object.keys(outputs).find((name) => outputs[name]?.entryPoint === entry);
  if (found === undefined) throw new Error(`${entry} is no chunk of its own`);
  return found;
}

/** Every module that is evaluated with these outputs: what they hold, and what they import without being asked to. */
function evaluated(...names: readonly string[]): Set<string> {
  const [seen, open] = [new Set<string>(), [...names]];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const output = outputs[name];
    if (output === undefined) throw new Error(`the metafile does not hold ${name}`);
    open.push(...output.imports.filter(({ kind }) => kind !== "dynamic-import").map(({ path }) => path));
  }
  return new Set([...seen].flatMap((name) => Object.keys(outputs[name]?.inputs ?? {})));
}

/** Every provider: a folder of providers/ with a file of its name. */
const PROVIDERS = readdirSync(join(ROOT, "providers")).filter((name) =>
  existsSync(join(ROOT, "providers", name, `${name}.ts`)),
);
/** Packages of the clouds' own, by the provider that brings them. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  aws: /node_modules\/@(?:aws-sdk|aws-crypto|aws|smithy)\//,
  gcp: /node_modules\/(?:@google-cloud\/|google-|gaxios|@grpc\/|protobufjs)/,
  azure: /node_modules\/(?:@azure\/|@azure-rest\/|@typespec\/)/,
};

/** How DNS writes values, which every provider holds its own cloud's spelling to: pure, and in a chunk that they share. */
const SHARED = "providers/local/dnsWire.ts";

const owners = (paths: Iterable<string>): string[] => {
  const list = [...paths].filter((path) => path !== SHARED);
  const ofOurs = PROVIDERS.filter((name) => list.some((path) => path.startsWith(`providers/${name}/`)));
  const ofTheirs = Object.keys(PACKAGES).filter((name) => list.some((path) => PACKAGES[name]?.test(path)));
  return [...new Set([...ofOurs, ...ofTheirs])].sort();
};
/** The agent before it has read its config. */
const AGENT = [chunkOf("agent/start.ts"), chunkOf("agent/main.ts")];
const start = (provider: string): Set<string> => evaluated(...AGENT, chunkOf(`providers/${provider}/${provider}.ts`));

test("without a provider the agent evaluates no module of any, and of no cloud's packages", () => {
  const modules = evaluated(...AGENT);
  expect(modules.size).toBeGreaterThan(200);
  expect(modules.has("agent/execute.ts")).toBe(true);
  expect(owners(modules)).toEqual([]);
});

test("with one provider it evaluates that one's modules and packages, and no other's", () => {
  expect(PROVIDERS).toContain("local");
  expect(PROVIDERS.length).toBeGreaterThan(1);
  for (const name of PROVIDERS) expect([name, owners(start(name))]).toEqual([name, [name]]);
});

/** What a provider evaluates only at its first call. */
const FIRST_CALL: Readonly<Record<string, string>> = {
  gcp: "providers/gcp/clients.ts",
  azure: "providers/azure/clients.ts",
};

test("each cloud's packages are seen where they are", () => {
  for (const name of Object.keys(PACKAGES).filter((each) => PROVIDERS.includes(each))) {
    const later = FIRST_CALL[name];
    const modules = [...start(name), ...(later === undefined ? [] : evaluated(chunkOf(later)))];
    expect([name, modules.some((path) => PACKAGES[name]?.test(path))]).toEqual([name, true]);
    expect([name, owners(modules)]).toEqual([name, [name]]);
  }
});

test("what only doctor needs of AWS is not evaluated by the agent", () => {
  const running = [...start("aws")];
  expect(running.some((path) => path.includes("/client-sts/"))).toBe(true);
  expect(running.filter((path) => path.includes("/client-iam/") || path === "providers/aws/reach.ts")).toEqual([]);
  expect([...evaluated(chunkOf("providers/aws/reach.ts"))].some((path) => path.includes("/client-iam/"))).toBe(true);
});
