import { expect, test } from "bun:test";
import { importsOf, type Source, sources } from "./sources.ts";

/** DESIGN section 11. A file belongs to the first area whose name its path starts with. */
type Area = {
  readonly area: string;
  /** Paths of ours that may be imported, by their start. */
  readonly ours: readonly string[];
  /** Packages and built-in modules that may not, or the only ones that may. */
  readonly others: { readonly only: readonly string[] } | { readonly not: readonly string[] };
};

/** Modules with effects on files, sockets and processes. */
const EFFECTS = [
  "bun",
  "bun:sqlite",
  "node:child_process",
  "node:cluster",
  "node:dgram",
  "node:dns",
  "node:fs",
  "node:fs/promises",
  "node:http",
  "node:http2",
  "node:https",
  "node:inspector",
  "node:net",
  "node:os",
  "node:process",
  "node:tls",
  "node:worker_threads",
];
/** Takes the JIT, which a hardened unit takes away. */
const NEVER = ["bun:ffi", "bun:jsc", "node:vm", "node:v8"];
const CONTRACT = ["providers/provider.ts", "providers/gate.ts", "providers/bucket.ts"];

const PROVIDER = [
  "providers/",
  "policy/",
  "agent/host/host.ts",
  "agent/host/dial.ts",
  "agent/host/socket.ts",
  "agent/providerConfig/",
  "agent/limits.ts",
  "agent/wire/",
];

const ARROWS: readonly Area[] = [
  { area: "policy/", ours: ["policy/"], others: { only: ["node:crypto", "yaml", "zod"] } },
  {
    area: "agent/wire/",
    ours: ["agent/wire/", "agent/limits.ts", "policy/"],
    others: { only: ["@peculiar/x509", "jose", "node:crypto", "reflect-metadata", "zod"] },
  },
  { area: "agent/host/", ours: ["agent/host/", "agent/limits.ts"], others: { not: NEVER } },
  { area: "agent/main.ts", ours: ["agent/", "policy/", "providers/"], others: { not: NEVER } },
  // Of build/ only what runs in the bundler, as a macro: it makes the page's text, and nothing of it is in the executable.
  { area: "agent/ui/assets.ts", ours: ["build/page.ts"], others: { only: [] } },
  // For browsers: nothing of the agent that has effects, and no module that a browser has not.
  {
    area: "agent/ui/page/",
    ours: ["agent/ui/page/", "agent/ui/shapes.ts", "agent/audit/", "agent/render.ts", "agent/wire/canonical.ts"],
    others: { only: ["@noble/hashes", "@peculiar/x509", "reflect-metadata"] },
  },
  { area: "agent/commands/", ours: ["agent/", "policy/", ...CONTRACT], others: { not: NEVER } },
  { area: "agent/", ours: ["agent/", "policy/", ...CONTRACT], others: { not: [...NEVER, ...EFFECTS] } },
  // This machine's own processes and name server are what it provides.
  { area: "providers/local/", ours: PROVIDER, others: { not: NEVER } },
  // A cloud is reached by the one client alone, on the connections that it is handed.
  { area: "providers/", ours: PROVIDER, others: { not: [...NEVER, ...EFFECTS] } },
  // Of build/ only what runs in the bundler, as a macro: the unit's text and the installing script's.
  { area: "control/userdata/texts.ts", ours: ["build/text.ts"], others: { only: [] } },
  // What a machine is given is judged by the agent's own parser of its config.
  {
    area: "control/userdata/",
    ours: ["control/", "policy/", "agent/wire/", "agent/config.ts"],
    others: { not: NEVER },
  },
  // The fleet pages' style, as a macro: what both pages share, and their own.
  { area: "control/pages/assets.ts", ours: ["build/text.ts"], others: { only: [] } },
  // What a page of ours tells a browser is said once, for both executables.
  {
    area: "control/pages/",
    ours: ["control/", "policy/", "agent/wire/", "agent/audit/", "agent/limits.ts", "agent/ui/headers.ts"],
    others: { not: NEVER },
  },
  {
    area: "control/",
    // Completion is written from a program's own tree of commands, and is the same for both executables.
    ours: ["control/", "policy/", "agent/wire/", "agent/audit/", "agent/limits.ts", "agent/commands/completion.ts"],
    others: { not: NEVER },
  },
  // Manual pages and completions are written from the very trees that read the command lines.
  {
    area: "build/package",
    ours: ["build/", "agent/main.ts", "agent/commands/completion/", "control/main.ts"],
    others: { not: [] },
  },
  // An SBOM spells packages as manifests do, and a release is signed as commands are.
  {
    area: "build/supply/",
    ours: ["build/", "control/manifest/purl.ts", "control/signer.ts", "control/terminal.ts"],
    others: { not: [] },
  },
  // One page of docs/ is written from the closed union of refusals.
  { area: "build/", ours: ["build/", "policy/"], others: { not: [] } },
  // The mode that the unit ships is put on by the same launcher for the bench and for the tests.
  { area: "bench/mdwe.ts", ours: ["bench/", "build/hardened/"], others: { not: [] } },
  { area: "bench/", ours: ["bench/", "agent/", "policy/", "providers/", "control/"], others: { not: [] } },
  { area: "test/", ours: ["test/", "build/", "agent/", "policy/", "providers/", "control/"], others: { not: [] } },
];

const OURS = /^(?:agent|policy|providers|control|build|bench|test)\//;

/** The package that an import names: `hono/body-limit` is of `hono`. */
function packageOf(name: string): string {
  if (name.startsWith("node:") || name.startsWith("bun:")) return name;
  return name.split("/", name.startsWith("@") ? 2 : 1).join("/");
}

function forbidden(source: Source): string[] {
  const arrows = ARROWS.find(({ area }) => source.path.startsWith(area));
  if (arrows === undefined) return [`${source.path} is in no area`];
  return importsOf(source)
    .filter((name) => {
      if (OURS.test(name)) return !arrows.ours.some((start) => name.startsWith(start));
      // package.json holds the version.
      if (name === "package.json") return false;
      if (name.startsWith(".") || name.startsWith("/")) return true;
      const other = packageOf(name);
      return "only" in arrows.others ? !arrows.others.only.includes(other) : arrows.others.not.includes(other);
    })
    .map((name) => `${source.path} imports ${name}`);
}

test("every import follows the arrows of DESIGN section 11", () => {
  const found = sources();
  const looked = found.flatMap(importsOf).length;
  expect(found.length).toBeGreaterThan(40);
  expect(looked).toBeGreaterThan(150);
  for (const { area } of ARROWS) expect([area, found.some(({ path }) => path.startsWith(area))]).toEqual([area, true]);
  expect(found.flatMap(forbidden)).toEqual([]);
});

test("no import is missed: what Bun's own parser finds is found here too", () => {
  const parser = new Bun.Transpiler({ loader: "ts" });
  const missed = sources().flatMap((source) => {
    const ours = importsOf(source).length;
    const theirs = parser.scanImports(source.text).filter(({ path }) => path !== "bun:wrap").length;
    return ours < theirs ? [`${source.path}: ${ours} of ${theirs}`] : [];
  });
  expect(missed).toEqual([]);
});

test("nothing is imported under a name that is only known when it runs", () => {
  const hidden = sources(["agent", "policy", "providers", "control"]).filter(({ text }) =>
    /\b(?:import|require)\s*\(\s*(?!["'])[^)\s]/.test(text),
  );
  expect(hidden.map(({ path }) => path)).toEqual([]);
});

test.each([
  ["policy/match.ts", 'import { open } from "../agent/wire/envelope.ts";'],
  ["policy/match.ts", 'import type { Entry } from "../agent/audit/entry.ts";'],
  ["policy/match.ts", 'import { readFileSync } from "node:fs";'],
  ["agent/wire/parse.ts", 'export { log } from "../audit/log.ts";'],
  ["agent/wire/parse.ts", 'import net from "node:net";'],
  ["agent/execute.ts", 'import { local } from "../providers/local/provider.ts";'],
  ["agent/execute.ts", 'import "node:child_process";'],
  ["agent/execute.ts", 'import {\n  one,\n  two,\n} from "../test/world.ts";'],
  ["agent/poll.ts", 'const late = await import("../control/store.ts");'],
  ["agent/main.ts", 'import { dlopen } from "bun:ffi";'],
  ["agent/host/real.ts", 'import { execute } from "../execute.ts";'],
  ["providers/aws/metadata.ts", 'import { request } from "node:http";'],
  ["providers/transport.ts", 'import { connect } from "node:net";'],
  ["providers/local/scale.ts", 'import { write } from "../../agent/road.ts";'],
  ["control/serve.ts", 'import { execute } from "../agent/execute.ts";'],
  ["control/serve.ts", 'import { run } from "../build/command.ts";'],
  ["control/serve.ts", 'import { parseConfig } from "../agent/config.ts";'],
  ["elsewhere/x.ts", ""],
])("a forbidden import is seen: %s, %s", (path, text) => {
  expect(forbidden({ path, text })).toHaveLength(1);
});

test("an import in a comment or a string is none", () => {
  const text =
    '// import "node:fs";\n/* import x from "../control/x.ts"; */\nimport { z } from "zod"; // from "bun:ffi"\n';
  expect(importsOf({ path: "policy/a.ts", text })).toEqual(["zod"]);
});
