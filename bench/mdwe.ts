import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { launcher } from "../build/hardened/hardened.ts";
import { type Effort, type Figure, inMilliseconds, median, perSecond, times } from "./figure.ts";
import { startPlane } from "./plane.ts";

const ROOT = join(import.meta.dirname, "..");
/** How much slower what a command waits for may be in the mode that ships. */
const TARGET_START = 1.5;
const TARGET_ROAD_MS = 50;

type Computed = { readonly decision: number; readonly policy: number; readonly road: number };
type Ran = { readonly starts: number[]; readonly megabytes: number };

/** The agent as its unit starts it, with MemoryDenyWriteExecute=, beside the same without: the runtime has no JIT then. Both side by side. */
export async function hardenedFigures({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const modes = { plain: [], hardened: [launcher()] } as const;
  const [plain, hardened] = await agents(modes.plain, modes.hardened, quick, scratch);
  const [fast, slow] = [computed(modes.plain, quick), computed(modes.hardened, quick)];
  const start = median(hardened.starts) / median(plain.starts);
  const row = (
    what: string,
    ours: string,
    beside: string,
    ratio: number,
    target: string,
    reached: boolean,
  ): Figure => ({
    what: `${what}, MDWE`,
    ours,
    beside: `without ${beside}`,
    ratio: times(ratio),
    target,
    reached,
  });
  const ms = (values: number[]): string => `${median(values).toFixed(0)} ms`;
  return [
    row(
      "start to first poll",
      ms(hardened.starts),
      ms(plain.starts),
      start,
      `within ${TARGET_START}×`,
      start <= TARGET_START,
    ),
    row(
      "resident memory, idle",
      `${hardened.megabytes.toFixed(0)} MB`,
      `${plain.megabytes.toFixed(0)} MB`,
      hardened.megabytes / plain.megabytes,
      "none",
      true,
    ),
    row(
      "policy decisions, 100 rules",
      perSecond(slow.decision),
      perSecond(fast.decision),
      slow.decision / fast.decision,
      "none",
      true,
    ),
    row(
      "a changed policy of 100 rules, parsed",
      inMilliseconds(slow.policy),
      inMilliseconds(fast.policy),
      slow.policy / fast.policy,
      "none",
      true,
    ),
    row(
      "one command's road",
      inMilliseconds(slow.road),
      inMilliseconds(fast.road),
      slow.road / fast.road,
      `under ${TARGET_ROAD_MS} ms`,
      slow.road < TARGET_ROAD_MS * 1e6,
    ),
  ];
}

/** Both agents of one control plane: started in turn, then idle side by side. */
async function agents(
  first: readonly string[],
  second: readonly string[],
  quick: boolean,
  scratch: string,
): Promise<[Ran, Ran]> {
  const plane = await startPlane(scratch);
  try {
    const both = [first, second].map((before, at) =>
      plane.customer(`mode-${at}`, "{ cloud: local }", "provider: local", before),
    );
    const starts: number[][] = [[], []];
    // The first round enrols and does not count.
    for (let round = -1; round < (quick ? 3 : 9); round++)
      for (const [at, agent] of both.entries()) {
        const took = await agent.start();
        if (round >= 0) starts[at]?.push(took);
        await agent.stop();
      }
    for (const agent of both) await agent.start();
    await Bun.sleep((quick ? 15 : 60) * 1000);
    const [one, two] = both.map((agent, at) => ({ starts: starts[at] ?? [], megabytes: agent.residentMegabytes() }));
    if (one === undefined || two === undefined) throw new Error("two agents were to be measured");
    return [one, two];
  } finally {
    await plane.end();
  }
}

function computed(before: readonly string[], quick: boolean): Computed {
  // On a disk, for the road waits for it.
  const folder = join(ROOT, ".cache");
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(folder, "bench-computed-"));
  try {
    const bun = [process.execPath, join(import.meta.dirname, "computed.ts"), scratch, ...(quick ? ["--quick"] : [])];
    const [program = "", ...words] = [...before, ...bun];
    const done = spawnSync(program, words, { encoding: "utf8" });
    if (done.status !== 0) throw new Error(`computed.ts ended with ${done.status}: ${done.stderr}`);
    return JSON.parse(done.stdout) as Computed;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
