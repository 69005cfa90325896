import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openAuthority } from "./ca.ts";
import { agentsApp, enrolmentApp, type Listening, listen, type Wake } from "./listeners.ts";
import { beginStart } from "./moment.ts";
import { type PagesOptions, placeText } from "./pages/access.ts";
import { countingApp, countingStore, newCounts } from "./pages/counts.ts";
import { openPages } from "./pages/listener.ts";
import { REDELIVER_SECONDS } from "./poll.ts";
import { PLACES, type ProofPlaces } from "./proof/places.ts";
import { proofVerifier } from "./proof/verify.ts";
import { openSqlite } from "./sqlite.ts";
import { readMeta, type Store, writeMeta } from "./store.ts";
import { Complaint } from "./terminal.ts";
import { openWitnessKey } from "./witness/key.ts";

const WATCH_MS = 150;

export type ServeOptions = {
  readonly dir: string;
  readonly enrol: string;
  readonly agents: string;
  readonly trustDomain: string | undefined;
  /** Address to bind; without it the host of each listener. */
  readonly bind: string | undefined;
  readonly redeliverSeconds?: number;
  /** Where platforms are asked who a machine is; without it, where the code says. */
  readonly proofs?: ProofPlaces;
  /** Pages for people and numbers for collectors; without it there are none. */
  readonly pages?: PagesOptions;
};
export type Ready = {
  readonly enrol: string;
  readonly agents: string;
  readonly root_sha256: string;
  readonly trust_domain: string;
  /** Where pages are served, when they are. */
  readonly pages?: string;
};
export type Serving = { readonly ready: Ready; stop(): Promise<void> };

/**
 * Starts the control plane on its folder; the first start makes the root CA, the token key and the state. Which root is in use, and which are
 * taken from agents beside it, is read once, here. Command keys are not its business.
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  const enrolAt = address(options.enrol);
  const agentsAt = address(options.agents);
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  const { pages } = options;
  const people = pages !== undefined && "host" in pages.at ? [pages.at.host] : [];
  const authority = await openAuthority(options.dir, [enrolAt.host, agentsAt.host, ...people]);
  const witness = openWitnessKey(join(options.dir, "ca"), undefined);
  const counts = newCounts();
  const store = countingStore(await openSqlite(join(options.dir, "state.db")), counts);
  const trustDomain = await settleTrustDomain(store, options.trustDomain);
  const stopping = new AbortController();
  const wake = await watch(store, stopping.signal);
  // Ports are known only when bound; nobody is answered before both are.
  const verify = proofVerifier(options.proofs ?? PLACES);
  const plane = { store, authority, witness, trustDomain, verify, enrolUrl: "", agentsUrl: "" };
  const settings = { redeliverSeconds: options.redeliverSeconds ?? REDELIVER_SECONDS };
  const opened: { close(): Promise<void> }[] = [];
  let pagesAt: string | null = null;
  const stop = async (): Promise<void> => {
    stopping.abort();
    await Promise.all(opened.map((listener) => listener.close()));
    await store.transaction(async () => undefined);
    store.close();
  };
  const open = async (app: Parameters<typeof listen>[0], at: Place, clients: readonly string[] | null) => {
    const counted = countingApp(app, clients === null ? "enrolment" : "agents", counts);
    const host = options.bind ?? at.host;
    const listener = await bound(`${host}:${at.port}`, listen(counted, plane, host, at.port, clients));
    opened.push(listener);
    return listener.port;
  };
  try {
    const port = await open(agentsApp(plane, wake, settings), agentsAt, authority.clientRoots);
    plane.agentsUrl = `https://${withPort(options.agents, port)}`;
    plane.enrolUrl = `https://${withPort(options.enrol, await open(enrolmentApp(plane), enrolAt, null))}`;
    if (pages !== undefined) {
      const listener = await bound(placeText(pages.at), openPages(pages, options.bind, { store, counts, authority }));
      opened.push(listener);
      pagesAt = placeText("socket" in pages.at ? pages.at : { ...pages.at, port: listener.port });
    }
  } catch (error) {
    // Whoever cannot listen ends: what still watches the state would keep the process.
    await stop();
    throw error;
  }
  await store.transaction(async (sql) => {
    await writeMeta(sql, "enrol_url", plane.enrolUrl);
    await writeMeta(sql, "agents_url", plane.agentsUrl);
  });
  return {
    ready: {
      enrol: plane.enrolUrl.slice("https://".length),
      agents: plane.agentsUrl.slice("https://".length),
      root_sha256: authority.rootSha256,
      trust_domain: trustDomain,
      ...(pagesAt === null ? {} : { pages: pagesAt }),
    },
    stop,
  };
}

async function bound(address: string, listening: Promise<Listening>): Promise<Listening> {
  try {
    return await listening;
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (error instanceof Complaint) throw error;
    throw new Complaint(
      5,
      `listen on ${address}`,
      `the system answers ${String(code ?? error)}`,
      "Choose another address, or stop what holds this one.",
    );
  }
}

/** The first transaction of this start. */
async function settleTrustDomain(store: Store, wanted: string | undefined): Promise<string> {
  return store.transaction(async (sql) => {
    await beginStart(sql);
    const known = await readMeta(sql, "trust_domain");
    if (known !== null && wanted !== undefined && wanted !== known)
      throw new Complaint(
        3,
        "serve",
        `this folder belongs to the trust domain ${known}, not ${wanted}`,
        "A trust domain never changes; use another folder.",
      );
    if (known !== null) return known;
    await writeMeta(sql, "trust_domain", wanted ?? "vendor.example");
    return wanted ?? "vendor.example";
  });
}

type Place = { readonly host: string; readonly port: number };
function address(text: string): Place {
  const match = /^(\[[0-9a-f:]+\]|[a-zA-Z0-9.-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65535)
    throw new Complaint(2, "serve", `${JSON.stringify(text)} is not HOST:PORT`, "Write for example 127.0.0.1:8443.");
  return { host: (match[1] ?? "").replace(/^\[|\]$/g, ""), port };
}

function withPort(text: string, port: number): string {
  return text.replace(/\d+$/, String(port));
}

/** One look at the store in each WATCH_MS serves all held polls, also for what other processes wrote. */
async function watch(store: Store, stopping: AbortSignal): Promise<Wake> {
  const look = (): Promise<string | null> => store.transaction((sql) => readMeta(sql, "changes"));
  let seen = await look();
  const sleepers = new Set<() => void>();
  const all = (): void => {
    for (const sleeper of sleepers) sleeper();
  };
  stopping.addEventListener("abort", all, { once: true });
  const tick = async (): Promise<void> => {
    if (stopping.aborted) return;
    if (sleepers.size > 0) {
      const now = await look();
      if (now !== seen) all();
      seen = now;
    }
    setTimeout(() => void tick().catch(retick), WATCH_MS);
  };
  const retick = (error: unknown): void => {
    if (stopping.aborted) return;
    process.stderr.write(
      `${JSON.stringify({ time: new Date().toISOString(), level: "error", what: "the state cannot be read", error: String(error) })}\n`,
    );
    setTimeout(() => void tick().catch(retick), WATCH_MS);
  };
  await tick();
  return {
    stopping,
    wait: (milliseconds, gone) =>
      new Promise((resolve) => {
        const end = (): void => {
          clearTimeout(timer);
          sleepers.delete(end);
          gone.removeEventListener("abort", end);
          resolve();
        };
        const timer = setTimeout(end, milliseconds);
        sleepers.add(end);
        gone.addEventListener("abort", end, { once: true });
        if (stopping.aborted || gone.aborted) end();
      }),
  };
}
