import type { Command } from "commander";
import { driveOpen, makeDriver } from "../rollout/driver.ts";
import { TICK_MS } from "../rollout/limits.ts";
import { exitOfRollout, summaryOf } from "../rollout/read.ts";
import type { Keys } from "../rollout/sign.ts";
import { trustDomainOf } from "../statement.ts";
import type { Store } from "../store.ts";
import { type Complaint, complaintText } from "../terminal.ts";
import { rolloutId } from "./rolloutId.ts";
import { type KeyFlags, openKeys, withKeys } from "./rolloutKeys.ts";
import { teller } from "./rolloutTell.ts";
import { withStore } from "./state.ts";

/** The commands that go on until something is over, or somebody ends them. */
export function addDrive(rollout: Command): void {
  withKeys(
    rollout
      .command("run")
      .description("Drive every open rollout, until it is told to end (SIGTERM). Several at once are safe.")
      .requiredOption("--dir <folder>", "the control plane's folder"),
  ).action(async (options: KeyFlags & { dir: string }) => {
    const keys = openKeys(options);
    await withStore(options.dir, async (store) => {
      const trustDomain = await store.read((sql) => trustDomainOf(sql, options.dir));
      const driver = makeDriver(store, trustDomain, keys, () => performance.now());
      const told = untilTold();
      const said = new Set<string>();
      const tell = (complaint: Complaint): void => void process.stderr.write(complaintText(complaint));
      process.stderr.write("driving rollouts\n");
      while (!told.aborted) {
        const more = await driveOpen(driver, said, tell);
        if (!more) await pauseFor(TICK_MS, told);
      }
    });
  });
  rollout
    .command("watch")
    .description("Show a rollout as it goes, until it is over. Reads only.")
    .argument("<id>", "the rollout's number", rolloutId)
    .requiredOption("--dir <folder>", "the control plane's folder")
    .option("--json", "print JSON, one line for each change")
    .addHelpText("after", "\nExit codes: as `rollout start`; 8 also when it is ended before the rollout is over.")
    .action(async (id: number, options: { dir: string; json?: boolean }) => {
      await withStore(options.dir, (store) => watchUntilOver(store, id, options.json === true, async () => false));
    });
}

type Drive = {
  readonly trustDomain: string;
  readonly keys: Keys;
  readonly id: number;
  readonly json: boolean;
};
/** Drives one rollout, and shows it. Ended early, the rollout stays open: another driver goes on with it. */
export async function driveAndWatch(store: Store, { trustDomain, keys, id, json }: Drive): Promise<void> {
  const driver = makeDriver(store, trustDomain, keys, () => performance.now());
  await watchUntilOver(store, id, json, () => driver.drive(id));
  if (process.exitCode === 8 && !json)
    process.stderr.write(
      `\`reeve-control rollout status ${id}\` says which; an open one is driven by \`rollout run\`.\n`,
    );
}

async function watchUntilOver(store: Store, id: number, json: boolean, drive: () => Promise<boolean>): Promise<void> {
  const told = untilTold();
  const tell = teller(json);
  for (;;) {
    const more = await drive();
    const summary = await store.read((sql) => summaryOf(sql, id));
    tell.show(summary);
    const exit = exitOfRollout(summary);
    if (exit !== null || told.aborted) {
      process.exitCode = exit ?? 8;
      return;
    }
    if (!more) await pauseFor(TICK_MS, told);
  }
}

/** Aborted when somebody ends this process. */
function untilTold(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  return stop.signal;
}

function pauseFor(milliseconds: number, told: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      told.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    told.addEventListener("abort", done);
  });
}
