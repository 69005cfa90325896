import { readCommand } from "../send.ts";
import { exitOf, resultOf, resultText } from "../show.ts";
import type { CommandRow, Store } from "../store.ts";
import { out } from "./state.ts";

const WAIT_MS = 200;

/** Queued past its end: the server says so too as soon as the agent polls. */
export function isOver(row: CommandRow): boolean {
  return row.state === "queued" && row.exp * 1000 <= Date.now();
}

/** Waits until `decided` gives the entry that decides (null: decided without one), then shows it; at the timeout shows what is known. */
export async function waitFor(
  store: Store,
  id: string,
  timeout: number,
  json: boolean,
  decided: (row: CommandRow) => string | null | undefined,
): Promise<void> {
  const until = Date.now() + timeout * 1000;
  let told = json;
  for (;;) {
    const row = await store.read((sql) => readCommand(sql, id));
    const line = decided(row);
    if (line !== undefined || Date.now() >= until) {
      const result = line === undefined ? { ...resultOf(row), entry: null } : resultOf(row, line);
      process.exitCode = line === undefined ? 8 : exitOf(result);
      if (json) return out(`${JSON.stringify(result)}\n`);
      const text = resultText(row, result);
      if (process.exitCode === 0) return out(text);
      process.stderr.write(text);
      return;
    }
    if (row.state === "waiting" && !told) process.stderr.write(resultText(row, resultOf(row)));
    told ||= row.state === "waiting";
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  }
}
