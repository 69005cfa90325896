import { CallFailed, type Changed, type Executed, Halted, type Reconciled } from "./provider.ts";

export function succeeded(changed: readonly Changed[], more: Partial<Executed> = {}): Executed {
  return { result: "succeeded", code: null, changed, certificate: null, words: null, ...more };
}

export function failed(code: string, changed: readonly Changed[] = [], words: string | null = null): Executed {
  return { result: "failed", code: code.slice(0, 64), changed, certificate: null, words };
}

export function unknown(code: string, changed: readonly Changed[] = [], words: string | null = null): Executed {
  return { ...failed(code, changed, words), result: "unknown" };
}

export function byState(executed: Executed): Reconciled {
  return { ...executed, known_by: "state" };
}

/** A call that stopped the errand, as its outcome; anything else is our own mistake and goes on up. */
export function stoppedBy(error: unknown, changed: readonly Changed[] = []): Executed {
  if (error instanceof Halted) return failed(error.why, changed);
  if (!(error instanceof CallFailed)) throw error;
  return (error.effect === "none" ? failed : unknown)(error.status, changed, error.words);
}
