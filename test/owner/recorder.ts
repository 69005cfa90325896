import "reflect-metadata";
import { join } from "node:path";
import { Hono } from "hono";
import { openAuthority } from "../../control/ca.ts";
import { agentsApp, enrolmentApp, listen } from "../../control/listeners.ts";
import { watchMoments } from "../../control/moment.ts";
import { openNonces } from "../../control/nonces.ts";
import { PLACES } from "../../control/proof/places.ts";
import { proofVerifier } from "../../control/proof/verify.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { writeMeta } from "../../control/store.ts";
import { openWitnessKey } from "../../control/witness/key.ts";

/** Everything that one call brought: method, path, headers, body. */
export type Recorded = { readonly path: string; readonly headers: string; readonly body: string };
export type Recorder = {
  readonly enrol: string;
  readonly recorded: Recorded[];
  /** From now on the call is not known, as in an older control plane. */
  forgetShared(): void;
  end(): Promise<void>;
};

/** The reference control plane's own listeners, with everything that arrives written down before they see it. */
export async function recorder(dir: string): Promise<Recorder> {
  const recorded: Recorded[] = [];
  let knowsShared = true;
  const authority = await openAuthority(dir, ["127.0.0.1"]);
  const store = await openSqlite(join(dir, "state.db"));
  const witness = openWitnessKey(join(dir, "ca"), undefined);
  const verify = proofVerifier(PLACES);
  const moments = await watchMoments(store);
  const urls = { enrolUrl: "", agentsUrl: "" };
  const plane = { store, authority, witness, verify, trustDomain: "vendor.example", moments, ...urls };
  const stopping = new AbortController();
  const wake = {
    stopping: stopping.signal,
    seen: () => 0,
    wait: (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, Math.min(milliseconds, 100))),
  };
  const recording = (inner: ReturnType<typeof enrolmentApp>): typeof inner => {
    const outer: typeof inner = new Hono();
    outer.all("*", async (c) => {
      const { raw } = c.req;
      const body = raw.body === null ? "" : await raw.text();
      const { pathname } = new URL(raw.url);
      recorded.push({ path: pathname, headers: JSON.stringify([...raw.headers]), body });
      if (pathname === "/v1/shared" && !knowsShared) return c.json({ code: "not-found", message: "" }, 404);
      // A poll is held for a second only, so that the agent looks at its policy often.
      const short = body.replace(/"hold":\d+/, '"hold":1');
      const headers = new Headers(raw.headers);
      headers.delete("content-length");
      const init = { method: raw.method, headers, ...(body === "" ? {} : { body: short }) };
      return inner.fetch(new Request(raw.url, init), c.env);
    });
    return outer;
  };
  const agents = await listen(
    recording(agentsApp(plane, wake, { redeliverSeconds: 30 })),
    plane,
    "127.0.0.1",
    0,
    authority.clientRoots,
  );
  plane.agentsUrl = `https://127.0.0.1:${agents.port}`;
  const enrolment = await listen(
    recording(enrolmentApp(plane, await openNonces(store, moments))),
    plane,
    "127.0.0.1",
    0,
    null,
  );
  plane.enrolUrl = `https://127.0.0.1:${enrolment.port}`;
  await store.transaction(async (sql) => {
    await writeMeta(sql, "trust_domain", plane.trustDomain);
    await writeMeta(sql, "enrol_url", plane.enrolUrl);
    await writeMeta(sql, "agents_url", plane.agentsUrl);
  });
  return {
    enrol: `127.0.0.1:${enrolment.port}`,
    recorded,
    forgetShared() {
      knowsShared = false;
    },
    async end() {
      stopping.abort();
      await Promise.all([agents.close(), enrolment.close()]);
      moments.end();
      store.close();
    },
  };
}
