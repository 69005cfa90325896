import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openAuthority } from "./ca.ts";
import { agentsApp, enrolmentApp, type Listening, listen } from "./listeners.ts";
import { type Moments, watchMoments } from "./moment.ts";
import { type Nonces, openNonces } from "./nonces.ts";
import { openStore } from "./openStore.ts";
import { type PagesOptions, placeText } from "./pages/access.ts";
import { countingApp, countingStore, newCounts } from "./pages/counts.ts";
import { openPages } from "./pages/listener.ts";
import { REDELIVER_SECONDS } from "./poll.ts";
import { PLACES, type ProofPlaces } from "./proof/places.ts";
import { proofVerifier } from "./proof/verify.ts";
import { keepSameKeys } from "./sameKeys.ts";
import { readMeta, type Sql, type Store, writeMeta } from "./store.ts";
import { Complaint } from "./terminal.ts";
import { type Wake, watchStore } from "./wake.ts";
import { openWitnessKey } from "./witness/key.ts";

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
  const store = countingStore(await openStore(options.dir), counts);
  const stopping = new AbortController();
  const settled = await settle(store, options, { authority, witness }, stopping.signal).catch((error: unknown) => {
    store.close();
    throw error;
  });
  const { trustDomain, wake, moments, nonces } = settled;
  // Ports are known only when bound; nobody is answered before both are.
  const verify = proofVerifier(options.proofs ?? PLACES);
  const plane = { store, authority, witness, trustDomain, verify, enrolUrl: "", agentsUrl: "" };
  const settings = { redeliverSeconds: options.redeliverSeconds ?? REDELIVER_SECONDS };
  const opened: { close(): Promise<void> }[] = [];
  let pagesAt: string | null = null;
  const stop = async (): Promise<void> => {
    stopping.abort();
    moments.end();
    await Promise.all(opened.map((listener) => listener.close()));
    await store.settled();
    store.close();
  };
  const open = async (app: Parameters<typeof listen>[0], at: Place, clients: readonly string[] | null) => {
    const counted = countingApp(app, clients === null ? "enrolment" : "agents", counts);
    const host = options.bind ?? at.host;
    const listener = await bound(`${host}:${at.port}`, listen(counted, { authority, moments }, host, at.port, clients));
    opened.push(listener);
    return listener.port;
  };
  try {
    const port = await open(agentsApp(plane, wake, settings), agentsAt, authority.clientRoots);
    plane.agentsUrl = `https://${withPort(options.agents, port)}`;
    plane.enrolUrl = `https://${withPort(options.enrol, await open(enrolmentApp(plane, nonces), enrolAt, null))}`;
    if (pages !== undefined) {
      const listener = await bound(
        placeText(pages.at),
        openPages(pages, options.bind, { store, counts, authority, moments }),
      );
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

type Settled = {
  readonly trustDomain: string;
  readonly wake: Wake;
  readonly moments: Moments;
  readonly nonces: Nonces;
};

/** What this process is on its store, before it listens. */
async function settle(
  store: Store,
  options: Pick<ServeOptions, "dir" | "trustDomain">,
  keys: Parameters<typeof keepSameKeys>[2],
  stopping: AbortSignal,
): Promise<Settled> {
  const trustDomain = await store.transaction(async (sql) => {
    await keepSameKeys(sql, options.dir, keys);
    return settleTrustDomain(sql, options.trustDomain);
  });
  const moments = await watchMoments(store);
  return {
    trustDomain,
    moments,
    nonces: await openNonces(store, moments),
    wake: await watchStore(store, stopping),
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

async function settleTrustDomain(sql: Sql, wanted: string | undefined): Promise<string> {
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
