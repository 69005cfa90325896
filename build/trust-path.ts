/**
 * `bun run trust-path [--write]`: every file of ours between received bytes and a changed world, and every third-party package among them.
 * What is on the path is what the bundler would put into the executable from the roots below, so a type-only import does not count.
 * Fails when a package is there that docs/DEPENDENCIES.md does not justify, and when docs/TRUST-PATH.md does not list just these files.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail, ROOT } from "./command.ts";
import { googlePlugin } from "./prune-descriptors.ts";

/** Lines of code of ours that a reviewer can read in an hour. */
const AIM_LINES = 1_500;

/**
 * Where the path begins and ends: what takes commands, what finishes them after a crash, and all that the road is handed as arguments:
 * the log, the owner's policy and switch, the keys, the disk, the connections, and the provider.
 */
const ROOTS = [
  "agent/poll.ts",
  "agent/dispatch.ts",
  "agent/execute.ts",
  "agent/recover.ts",
  "agent/audit/log.ts",
  "agent/owner/policy.ts",
  "agent/owner/switch.ts",
  "agent/wire/trust.ts",
  "agent/host/real.ts",
  "agent/host/dial.ts",
];
/** Every provider is on the path of who configures it; a reviewer of one leaves the others out. */
const PROVIDERS = ["providers/local", "providers/aws", "providers/gcp", "providers/azure"];

/** The order to read in: the road's own. A path sorts by the first of these that it starts with. */
const READING = [
  "agent/execute.ts",
  "agent/limits.ts",
  "agent/poll.ts",
  "agent/dispatch.ts",
  "agent/wire/envelope.ts",
  "agent/wire/",
  "agent/verify.ts",
  "agent/owner/",
  "policy/match.ts",
  "policy/authorize.ts",
  "policy/",
  "agent/action.ts",
  "agent/record.ts",
  "agent/audit/",
  "providers/gate.ts",
  "providers/provider.ts",
  "providers/",
  "agent/recover.ts",
  "agent/host/",
  "agent/",
];

type Part = { readonly path: string; readonly lines: number };
type Package = {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly lines: number;
  /** Whose path it is on: every agent's, or only one provider's. */
  readonly of: string;
};

/** Lines that are neither blank nor only comment. */
function codeLines(text: string): number {
  const code = text.replace(/^\s*\/\*[\s\S]*?\*\/[ \t]*$/gm, "").split("\n");
  return code.filter((line) => line.trim() !== "" && !line.trimStart().startsWith("//")).length;
}

function filesOf(provider: string): string[] {
  if (!existsSync(join(ROOT, provider))) return [];
  return readdirSync(join(ROOT, provider))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .map((name) => `${provider}/${name}`);
}

function roots(providers: readonly string[]): string[] {
  const missing = [
    ...ROOTS.filter((path) => !existsSync(join(ROOT, path))),
    ...providers.filter((provider) => filesOf(provider).length === 0),
  ];
  if (missing.length > 0)
    fail(
      `Cannot follow the trust path: ${missing.join(", ")} is not there.`,
      "Say in build/trust-path.ts where it begins now.",
    );
  return [...ROOTS, ...providers.flatMap(filesOf)];
}

/** Paths from the top of every file that the roots bring: ours whenever reached, others' when anything of them is left in the output. */
async function reached(providers: readonly string[]): Promise<string[]> {
  const built = await Bun.build({
    entrypoints: roots(providers).map((path) => join(ROOT, path)),
    root: ROOT,
    target: "bun",
    format: "esm",
    // As build.ts bundles.
    splitting: true,
    metafile: true,
    // As the executable is made.
    plugins: [googlePlugin],
    throw: false,
  });
  const metafile = built.metafile;
  if (!built.success || metafile === undefined) {
    fail(`Cannot follow the trust path: ${built.logs.map(String).join("; ")}`, "`bun run build` says more.");
  }
  const kept = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
  );
  const ours = Object.keys(metafile.inputs).filter((path) => !path.includes("node_modules/"));
  return [...new Set([...ours, ...kept])];
}

function rank(path: string): number {
  const exact = READING.indexOf(path);
  if (exact >= 0) return exact;
  const at = READING.findIndex((start) => start.endsWith("/") && path.startsWith(start));
  return at < 0 ? READING.length : at;
}

function ourParts(paths: readonly string[]): Part[] {
  return paths
    .filter((path) => !path.includes("node_modules/"))
    .map((path) => ({ path, lines: codeLines(readFileSync(join(ROOT, path), "utf8")) }))
    .sort((a, b) => rank(a.path) - rank(b.path) || (a.path < b.path ? -1 : 1));
}

/** Copies of one version in several folders are one package. */
function packages(paths: readonly string[], by: ReadonlyMap<string, readonly string[]>): Package[] {
  const lines = new Map<string, number>();
  for (const path of paths) {
    const folder = folderOf(path);
    // Data, of which only a part is built in (build/prune-descriptors.ts).
    if (folder === null || path.endsWith(".json")) continue;
    lines.set(folder, (lines.get(folder) ?? 0) + codeLines(readFileSync(join(ROOT, path), "utf8")));
  }
  const folders = [...by].map(([provider, of]) => [provider, new Set(of.map(folderOf))] as const);
  const whose = (folder: string): string => {
    const bring = folders.flatMap(([provider, of]) =>
      of.has(folder) ? [`\`${provider.replace("providers/", "")}\``] : [],
    );
    return bring.length === folders.length ? "every provider" : bring.join(", ");
  };
  const found = new Map<string, Package>();
  for (const [folder, count] of lines) {
    const about = JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8")) as Record<string, unknown>;
    const licence = typeof about["license"] === "string" ? about["license"] : "unknown";
    const [name, version] = [String(about["name"]), String(about["version"])];
    const of = whose(folder);
    const same = found.get(`${name} ${version}`);
    if (same === undefined || same.lines < count)
      found.set(`${name} ${version}`, { name, version, licence, lines: count, of });
  }
  return [...found.values()].sort((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1));
}

function folderOf(path: string): string | null {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? null;
}

/** `name version` of each row of docs/DEPENDENCIES.md: `| name | version | why | …`. */
export function justified(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/^\| `([^`]+)` \| ([^ |]+) \| [^|]*[^|\s][^|]* \|/gm)].map((row) => `${row[1]} ${row[2]}`),
  );
}

/** The first sentence of the first comment: what a file says that it is for. */
function purpose(path: string): string {
  const comment = /\/\*\*([\s\S]*?)\*\//.exec(readFileSync(join(ROOT, path), "utf8"))?.[1] ?? "";
  const words = comment
    .replace(/^\s*\* ?/gm, " ")
    .replace(/\s+/g, " ")
    .trim();
  return (/^.*?[.:](?= |$)/.exec(words)?.[0] ?? words).replace(/[.:]$/, "").replaceAll("|", "\\|");
}

function table(ours: readonly Part[], theirs: readonly Package[]): string {
  const total = ours.reduce((sum, { lines }) => sum + lines, 0);
  return [
    "| # | file | lines | what it says of itself |",
    "|---:|---|---:|---|",
    ...ours.map(({ path, lines }, at) => `| ${at + 1} | [${path}](../${path}) | ${lines} | ${purpose(path)} |`),
    "",
    `${total} lines of code of ours in ${ours.length} files, beside an aim of ${AIM_LINES}:`,
    "",
    "```",
    ...shares(ours),
    "```",
    "",
    "| package | version | lines reached | licence | with |",
    "|---|---|---:|---|---|",
    ...theirs.map(
      ({ name, version, lines, licence, of }) => `| ${name} | ${version} | ${lines} | ${licence} | ${of} |`,
    ),
    "",
  ].join("\n");
}

const MARKS = ["<!-- written by `bun run trust-path --write` -->\n", "<!-- end -->\n"] as const;

/** The text between the marks, and what stands before and after it. */
function between(text: string): readonly [string, string, string] {
  const start = text.indexOf(MARKS[0]);
  const end = text.indexOf(MARKS[1]);
  if (start < 0 || end < start) fail("docs/TRUST-PATH.md lacks its two marks.", `Put ${MARKS.join("and ")}back.`);
  const from = start + MARKS[0].length;
  return [text.slice(0, from), text.slice(from, end), text.slice(end)];
}

/** The files in a table, without their counts: those change with every edit. */
function listed(text: string): string {
  return [...text.matchAll(/^\| \d+ \| \[([^\]]+)\]/gm)].map((row) => row[1]).join("\n");
}

/** Lines by what they belong to, so that the total can be judged. */
const SHARES = [
  ["the road (agent/)", /^agent\/[^/]+$/],
  ["formats (agent/wire/)", /^agent\/wire\//],
  ["the log (agent/audit/)", /^agent\/audit\//],
  ["the owner's folder (agent/owner/)", /^agent\/owner\//],
  ["disk and clock (agent/host/)", /^agent\/host\//],
  ["the policy (policy/)", /^policy\//],
  ["the gate and the contract (providers/)", /^providers\/[^/]+$/],
  ["the local provider (providers/local/)", /^providers\/local\//],
  ["the provider for AWS (providers/aws/)", /^providers\/aws\//],
  ["the provider for Azure (providers/azure/)", /^providers\/azure\//],
  ["the provider for Google Cloud (providers/gcp/)", /^providers\/gcp\//],
] as const;

function shares(ours: readonly Part[]): string[] {
  return SHARES.map(([name, pattern]) => {
    const lines = ours.filter(({ path }) => pattern.test(path)).reduce((sum, part) => sum + part.lines, 0);
    return `${String(lines).padStart(6)}  ${name}`;
  });
}

function print(ours: readonly Part[], theirs: readonly Package[]): void {
  for (const { path, lines } of ours) process.stdout.write(`${String(lines).padStart(6)}  ${path}\n`);
  const total = ours.reduce((sum, { lines }) => sum + lines, 0);
  process.stdout.write(
    `${String(total).padStart(6)}  lines of code of ours in ${ours.length} files; the aim is ${AIM_LINES}`,
  );
  process.stdout.write(total > AIM_LINES ? `: ${total - AIM_LINES} over it\n\n` : "\n\n");
  process.stdout.write(`${shares(ours).join("\n")}\n\n`);
  for (const { name, version, lines, licence } of theirs) {
    process.stdout.write(`${String(lines).padStart(6)}  ${name} ${version} (${licence})\n`);
  }
  const others = theirs.reduce((sum, { lines }) => sum + lines, 0);
  process.stdout.write(
    `${String(others).padStart(6)}  lines of others in ${theirs.length} packages, and Bun ${Bun.version}\n`,
  );
}

async function trustPath(write: boolean): Promise<void> {
  const paths = await reached(PROVIDERS);
  const ours = ourParts(paths);
  const by = new Map<string, readonly string[]>();
  for (const provider of PROVIDERS) by.set(provider, await reached([provider]));
  const theirs = packages(paths, by);
  print(ours, theirs);
  const known = justified(readFileSync(join(ROOT, "docs/DEPENDENCIES.md"), "utf8"));
  const unknown = theirs.filter(({ name, version }) => !known.has(`${name} ${version}`));
  if (unknown.length > 0) {
    fail(
      `Not justified in docs/DEPENDENCIES.md: ${unknown.map(({ name, version }) => `${name} ${version}`).join(", ")}.`,
      "Take it off the path, or add its row with the version that was looked at, and why it is needed.",
    );
  }
  const doc = join(ROOT, "docs/TRUST-PATH.md");
  const [before, inside, after] = between(readFileSync(doc, "utf8"));
  if (write) writeFileSync(doc, before + table(ours, theirs) + after);
  else if (listed(inside) !== ours.map(({ path }) => path).join("\n")) {
    fail("docs/TRUST-PATH.md does not list just these files in this order.", "bun run trust-path --write");
  }
}

if (import.meta.main) await trustPath(process.argv.includes("--write"));
