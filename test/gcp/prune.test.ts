import { afterAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Descriptors, googlePlugin, KEPT, pruned } from "../../build/prune-descriptors.ts";
import { GCP_OPERATIONS } from "../../policy/permissions/gcp/operations.ts";

const folder = mkdtempSync(join(tmpdir(), "reeve-gcp-prune-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const ROOT = join(import.meta.dir, "../..");

function printed(script: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script], { cwd: ROOT, env: { PATH: "/usr/bin:/bin" } });
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString();
    });
    child.once("close", (code) => (code === 0 ? resolve(out) : reject(new Error(err))));
  });
}

function whole(name: string): Descriptors {
  return JSON.parse(readFileSync(join(ROOT, "node_modules", name, "build/protos/protos.json"), "utf8")) as Descriptors;
}

test("with pruned descriptors each call sends the same bytes, and makes the same of each answer, as with whole ones", async () => {
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, "wire.ts")],
    target: "bun",
    format: "esm",
    plugins: [googlePlugin],
  });
  expect(built.success).toBe(true);
  const script = join(folder, "wire.js");
  writeFileSync(script, (await built.outputs[0]?.text()) ?? "");
  // Pruned: what takes 12 MB whole is not in it.
  expect(readFileSync(script).length).toBeLessThan(3_000_000);
  const [pruned, plain] = [await printed(script), await printed(join(import.meta.dir, "wire.ts"))];
  expect(pruned).toBe(plain);
  const lines = JSON.parse(plain) as { readonly url?: string; readonly method?: string }[];
  const sent = lines.filter(({ url }) => url !== undefined);
  // A deploy's are made without Google's clients.
  const table = Object.entries(GCP_OPERATIONS)
    .flatMap(([action, rows]) => (action === "deploy" ? [] : rows))
    .filter(({ service }) => service !== "dns");
  expect(sent).toHaveLength(table.length);
  console.log(`      ${sent.length} calls, ${plain.length} bytes of requests and answers, the same`);
}, 120_000);

test("an enum that comes as a number is the word that it stands for", async () => {
  const lines = JSON.parse(await printed(join(import.meta.dir, "wire.ts"))) as unknown[];
  const answers = lines.flatMap((line) => (Array.isArray(line) ? [line[0] as Record<string, unknown>] : []));
  const certificates = answers.filter((answer) => answer?.["subjectMode"] !== undefined);
  expect(certificates).toHaveLength(2);
  for (const one of certificates)
    expect(one).toMatchObject({ subjectMode: "DEFAULT", config: { publicKey: { format: "PEM" } } });
}, 60_000);

test("what is built in is the gate's table and no method more, under 90 KB, and the same each time", () => {
  for (const [name, kept] of Object.entries(KEPT)) {
    const text = JSON.stringify(pruned(whole(name), kept));
    expect(text.length).toBeLessThan(90_000);
    expect(JSON.stringify(pruned(whole(name), kept))).toBe(text);
    const methods = [...text.matchAll(/"requestType":"/g)].length;
    expect([name, methods]).toEqual([name, kept.methods.size]);
    console.log(`      ${name}: ${methods} methods, ${text.length} bytes`);
  }
});

test("a method that the package does not have ends the build", () => {
  const compute = KEPT["@google-cloud/compute"];
  const methods = new Set([...(compute?.methods ?? []), "google.cloud.compute.v1.InstanceGroupManagers.Explode"]);
  expect(() => pruned(whole("@google-cloud/compute"), { methods, messages: [] })).toThrow("Explode");
});
