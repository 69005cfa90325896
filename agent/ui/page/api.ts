import type { Rows, ShownPolicy } from "../shapes.ts";

/** What the server is asked. Every request goes to where the page came from, with the key that only this page has. */
const KEY = "reeve-key";

export class NoSession extends Error {}

/** The session's key: swapped for the address's token once, else as it was kept for this origin. */
export async function openSession(): Promise<string> {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) {
    // Out of the address before anything else: it is good for one exchange, and belongs in no history.
    history.replaceState(null, "", location.pathname + location.search);
    const answer = await fetch("/session", { method: "POST", headers: { "x-reeve-token": token } });
    if (answer.ok) {
      const { key } = (await answer.json()) as { key: string };
      sessionStorage.setItem(KEY, key);
    }
  }
  const key = sessionStorage.getItem(KEY);
  if (key === null) throw new NoSession();
  return key;
}

async function ask<T>(key: string, path: string): Promise<T> {
  const answer = await fetch(path, { headers: { "x-reeve-key": key } });
  if (answer.status === 401) throw new NoSession();
  const said = (await answer.json()) as T & { readonly error?: string };
  if (!answer.ok) throw new Error(said.error ?? `the server answered ${answer.status}`);
  return said;
}

export function askRows(key: string, filter: URLSearchParams, before: Rows["next"]): Promise<Rows> {
  const query = new URLSearchParams(filter);
  if (before !== null) query.set("before", `${before.segment}:${before.offset}`);
  return ask(key, `/api/rows?${query}`);
}

export function askPolicy(key: string): Promise<ShownPolicy> {
  return ask(key, "/api/policy");
}
