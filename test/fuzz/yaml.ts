import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseConfig } from "../../agent/config.ts";
import { loadPolicy, parsePolicy } from "../../policy/parse.ts";
import { REFUSAL_CODES } from "../../policy/refusal.ts";
import { sentences, warnings } from "../../policy/sentences.ts";
import { isOpen, parseWhen, whenText } from "../../policy/when.ts";
import { strictYaml } from "../../policy/yaml.ts";
import { mutateBytes, mutateJson } from "./mutate.ts";
import { bytesOf, codeIn, must, type Parser, textOf } from "./parser.ts";
import type { Random } from "./random.ts";

/** What people write: policy, config, windows. JSON is YAML, so a file's value is mutated and written as JSON, and its text as it stands. */
const example = readFileSync(join(import.meta.dirname, "../policy/example.yaml"));
const CONFIG = `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://control.vendor.example:8443", trust_sha256: ${"A".repeat(43)} }
token: { credential: reeve-token }
provider: local
owner: { directory: /etc/reeve/owner }
witnesses: []
log: { retention: 400d, segment: 16MiB }
`;

function asJson(random: Random, sample: Uint8Array): Uint8Array {
  if (random.chance(2)) return mutateBytes(random, sample, [example], 40_000);
  const value = readOf(sample);
  return value === undefined
    ? mutateBytes(random, sample, [], 40_000)
    : bytesOf(JSON.stringify(mutateJson(random, value)));
}

/** Reading YAML costs more than all else here: what a sample says is read once. */
const values = new Map<Uint8Array, unknown>();
function readOf(sample: Uint8Array): unknown {
  if (values.has(sample)) return values.get(sample);
  const { value, faults } = strictYaml(textOf(sample));
  const read: unknown = faults.length > 0 ? undefined : JSON.parse(JSON.stringify(value));
  if (values.size < 1000) values.set(sample, read);
  return read;
}

function policy(input: Uint8Array): string {
  const parsed = parsePolicy(input);
  const loaded = loadPolicy(input);
  if ("errors" in parsed) {
    must("errors" in loaded, "loaded, and not parsed");
    must(parsed.errors.length > 0, "refused without an error");
    for (const { line, column, message } of parsed.errors)
      must(line >= 1 && column >= 1 && message !== "", "an error without place or words");
    return codeIn(parsed.errors[0]?.code ?? "", REFUSAL_CODES);
  }
  must(sentences(parsed.policy).length > 0, "a policy that cannot be said in sentences");
  warnings(parsed.policy);
  if ("errors" in loaded) return codeIn(loaded.errors[0]?.code ?? "", REFUSAL_CODES);
  must(loaded.digest === parsed.digest, "two digests of one file");
  return "taken";
}

function config(input: Uint8Array): string {
  const parsed = parseConfig(textOf(input));
  if ("config" in parsed) return "taken";
  must(parsed.faults.length > 0, "refused without a fault");
  must(
    parsed.faults.every(({ line, column }) => line >= 1 && column >= 1),
    "a fault without a place",
  );
  return "refused";
}

function when(input: Uint8Array): string {
  const text = textOf(input);
  const read = parseWhen(text);
  if ("fault" in read) return "refused";
  must(whenText(read) === text, "a window that is written otherwise than it was read");
  for (const at of [0, 1_774_744_200_000, 1_792_888_200_000, 4_102_444_800_000]) isOpen(read, at);
  return "taken";
}

const SHORT = JSON.stringify({
  version: 1,
  revision: 2,
  cluster: "c",
  vendor: "vendor.example",
  place: { cloud: "local" },
  people: { alice: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINtZ4O9PuEUN83PrKXXZbb8LYwVQohR4fjGuYLVh0jnI" },
  signers: {},
  share: [],
  dry_run: "allowed",
  rules: [
    {
      id: "r",
      why: "x",
      allow: "scale",
      group: "g",
      count: { min: 0, max: 9 },
      change: { up: 1, down: 1 },
      rate: "4 per hour",
      when: "always",
      approval: { by: ["alice"], need: 1, within: "1h" },
    },
  ],
  tests: [],
});
const WINDOWS = [
  "always",
  "Mon-Fri 08:00-17:00 Europe/Berlin",
  "Mon,Wed-Sun 00:00-24:00 UTC",
  "2026-12-01T08:00Z to 2026-12-02T08:00Z",
];
export const WRITTEN: readonly Parser[] = [
  { name: "policy", maxBytes: 300_000, corpus: [example, bytesOf(SHORT)], mutate: asJson, hold: policy },
  { name: "config", maxBytes: 70_000, corpus: [bytesOf(CONFIG)], mutate: asJson, hold: config },
  { name: "when", maxBytes: 2000, corpus: WINDOWS.map(bytesOf), hold: when },
];
