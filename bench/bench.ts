/**
 * `bun run bench [--quick] [--write]`: each figure beside its peer, measured in one run. Nothing here passes or fails on time: the figures
 * are printed with their targets. `--write` puts them into docs/BENCH.md.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { agentFigures } from "./agent.ts";
import { appends } from "./appends.ts";
import { bootFigures } from "./boot.ts";
import { decisions } from "./decisions.ts";
import { evidenceFigures } from "./evidence.ts";
import { type Effort, type Figure, tableOf } from "./figure.ts";
import { hardenedFigures } from "./mdwe.ts";
import { providerFigures } from "./providers.ts";
import { roadFigure } from "./road.ts";
import { rolloutFigures } from "./rollout.ts";
import { inventoryFigures } from "./scale/inventory.ts";
import { scaleFigures } from "./scale/scale.ts";
import { spireFigures } from "./spire.ts";
import { uiFigures } from "./ui.ts";
import { verifyFigure } from "./verify.ts";

const ROOT = join(import.meta.dirname, "..");
const PARTS: readonly (readonly [string, (effort: Effort, scratch: string) => Promise<Figure[]>])[] = [
  ["agent", agentFigures],
  ["providers", providerFigures],
  ["boot", async (effort, scratch) => [...(await bootFigures(effort)), ...(await spireFigures(effort, scratch))]],
  ["road", roadFigure],
  ["mdwe", hardenedFigures],
  ["inventory", inventoryFigures],
  ["scale", scaleFigures],
  ["decisions", decisions],
  ["appends", appends],
  ["verify", verifyFigure],
  ["rollout", rolloutFigures],
  [
    "evidence",
    async (effort, scratch) => [...(await evidenceFigures(effort, scratch)), ...(await uiFigures(effort, scratch))],
  ],
];

function page(figures: readonly Figure[], quick: boolean): string {
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? "unknown processor"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Bun ${Bun.version}, load ${loadavg()[0]?.toFixed(1)} at the end`;
  const missed = figures.filter(({ reached }) => !reached);
  const misses =
    missed.length === 0
      ? "Every target was reached in this run.\n"
      : missed
          .map(({ what, ratio, ours, target }) => `- Not reached: ${what}: ${ratio || ours}, target ${target}.\n`)
          .join("");
  return `# Figures

Written by \`bun run bench --write\`${quick ? " (quick: fewer rounds)" : ""} on ${machine}.
Each is measured beside its peer in the same run, in turn, round after round; of what waits for the disk the median is shown, of what only
computes the best round. No figure fails a build: they are to be compared, on one machine, before and after a change.

${tableOf(figures)}
${misses}`;
}

/** What is measured are the executables of these sources, in a fresh clone too. */
function build(): void {
  const words = [join(ROOT, "build", "build.ts"), "--native-only"];
  const made = spawnSync(process.execPath, words, { stdio: ["ignore", 2, 2] });
  if (made.status !== 0) process.exit(1);
}

async function bench(): Promise<void> {
  const flags = process.argv.slice(2);
  const only = flags.find((flag) => flag.startsWith("--only="))?.slice("--only=".length);
  const unknown = flags.find((flag) => !["--quick", "--write"].includes(flag) && !flag.startsWith("--only="));
  if (unknown !== undefined || (only !== undefined && !PARTS.some(([name]) => name === only))) {
    process.stderr.write(
      `error: Cannot bench: ${unknown ?? `--only=${only}`} is not known.\nhint: bun run bench [--quick] [--write] [--only=PART]\n`,
    );
    process.exit(2);
  }
  if (only !== undefined && flags.includes("--write")) {
    process.stderr.write(
      "error: Cannot write one part: the page holds every figure of one run.\nhint: Leave --only out.\n",
    );
    process.exit(2);
  }
  build();
  const quick = flags.includes("--quick");
  // Beside the sources, not in /tmp, which may be memory: what is measured are syncs of a disk.
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  const figures: Figure[] = [];
  for (const [name, part] of PARTS) {
    if (only !== undefined && only !== name) continue;
    process.stderr.write(`measuring: ${name}\n`);
    const scratch = mkdtempSync(
      join(["agent", "boot", "mdwe", "providers"].includes(name) ? tmpdir() : join(ROOT, ".cache"), `bench-${name}-`),
    );
    try {
      figures.push(...(await part({ quick }, scratch)));
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  const text = page(figures, quick);
  process.stdout.write(text);
  if (flags.includes("--write")) {
    const file = join(ROOT, "docs", "BENCH.md");
    // Each part with a heading of its own was measured apart, and says how.
    const parts = /\n## [\s\S]*$/.exec(readFileSync(file, "utf8"))?.[0] ?? "";
    writeFileSync(file, `${text.trimEnd()}\n${parts}`);
  }
}

await bench();
