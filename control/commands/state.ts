import { hasState, openStore } from "../openStore.ts";
import type { Store } from "../store.ts";
import { Complaint } from "../terminal.ts";

/** Opens the state of a control plane that was started once, for one piece of work. */
export async function withStore<T>(dir: string, work: (store: Store) => Promise<T>): Promise<T> {
  if (!hasState(dir))
    throw new Complaint(3, `use ${dir}`, "it holds no control plane yet", "Start `reeve-control serve` on it once.");
  const store = await openStore(dir);
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

export function out(text: string): void {
  process.stdout.write(text);
}
