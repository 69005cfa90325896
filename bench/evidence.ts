import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Effort, type Figure, times } from "./figure.ts";
import { benchLog, sampleEntry } from "./log.ts";
import { voucherIn } from "./verify.ts";

const GROUP = 1000;
const WHOLE_EXIT = 11;
/** What a tenfold log may cost more per entry, and in memory. */
const LINEAR = 1.5;
const FLAT = 1.5;

type Taken = { readonly nanoseconds: number; readonly kilobytes: number };

/** One run of a process: its time and its largest memory, by GNU time. Throws when it ends with another exit code than `exit`. */
function measured(scratch: string, command: readonly string[], exit: number): Taken {
  const out = join(scratch, "time");
  const start = Bun.nanoseconds();
  const done = spawnSync("/usr/bin/time", ["-q", "-f", "%M", "-o", out, ...command], {
    env: { PATH: "/usr/bin:/bin" },
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const nanoseconds = Bun.nanoseconds() - start;
  if (done.status !== exit)
    throw new Error(`${command.join(" ")} ended with ${done.status}: ${done.stdout.slice(0, 2000)}${done.stderr}`);
  return { nanoseconds, kilobytes: Number(readFileSync(out, "utf8").trim()) };
}

const seconds = ({ nanoseconds }: Taken): string => `${(nanoseconds / 1e9).toFixed(2)} s`;
const megabytes = ({ kilobytes }: Taken): string => `${Math.round(kilobytes / 1024)} MB`;

type Size = { readonly entries: number; readonly append: number; readonly verify: Taken; readonly prove: Taken };

/** Append, verify and prove at 10 thousand, 100 thousand and (but for `--quick`) 1 million entries: time linear, memory flat. */
export async function evidenceFigures({ quick }: Effort, scratch: string): Promise<Figure[]> {
  if (!existsSync("/usr/bin/time")) throw new Error("GNU time is needed: apt-get install time");
  const { voucher, root } = await voucherIn(join(scratch, "control"));
  const log = benchLog(scratch, voucher);
  const folder = join(scratch, "audit");
  const reeve = join(import.meta.dirname, "..", "dist", "reeve");
  const sizes: Size[] = [];
  for (const entries of quick ? [10_000, 100_000] : [10_000, 100_000, 1_000_000]) {
    const start = Bun.nanoseconds();
    const before = log.size;
    while (log.size < entries) log.append(Array.from({ length: GROUP }, () => sampleEntry(Bun.randomUUIDv7())));
    const append = (Bun.nanoseconds() - start) / (log.size - before);
    const verify = measured(scratch, [reeve, "audit", "verify", "--log", folder, "--ca", root], WHOLE_EXIT);
    const prove = measured(scratch, [reeve, "audit", "prove", "1", "--log", folder], 0);
    sizes.push({ entries, append, verify, prove });
  }
  log.close();
  return sizes.flatMap((size, at) => figuresOf(size, sizes[at - 1]));
}

function figuresOf({ entries, append, verify, prove }: Size, smaller: Size | undefined): Figure[] {
  const many = entries.toLocaleString("en");
  const figure = (what: string, ours: string, of: (size: Size) => number, most: number, target: string): Figure => {
    const ratio = smaller === undefined ? 1 : of({ entries, append, verify, prove }) / of(smaller);
    return {
      what: `${what}, ${many} entries`,
      ours,
      beside: smaller === undefined ? "" : `at ${smaller.entries.toLocaleString("en")}`,
      ratio: smaller === undefined ? "" : times(ratio),
      target: smaller === undefined ? "none" : target,
      reached: ratio <= most,
    };
  };
  const perEntry = (taken: Taken, size: Size): number => taken.nanoseconds / size.entries;
  const linear = `within ${LINEAR}× per entry`;
  return [
    figure(
      `append by ${GROUP}`,
      `${Math.round(1e9 / append).toLocaleString("en")}/s`,
      (one) => one.append,
      LINEAR,
      linear,
    ),
    figure("audit verify", seconds(verify), (one) => perEntry(one.verify, one), LINEAR, linear),
    figure("audit verify, memory", megabytes(verify), (one) => one.verify.kilobytes, FLAT, `within ${FLAT}×`),
    figure("audit prove", seconds(prove), (one) => perEntry(one.prove, one), LINEAR, linear),
    figure("audit prove, memory", megabytes(prove), (one) => one.prove.kilobytes, 10, "none"),
  ];
}
