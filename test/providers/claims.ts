import "reflect-metadata";
import { expect } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import { type GateOptions, makeGate } from "../../providers/gate.ts";
import { type Executed, GateBreach, Halted } from "../../providers/provider.ts";
import { act, type Command, errand, gateFor, host, recall, see } from "./world.ts";

/** One action's fresh world: a command that is permitted and not yet true. */
export type Case<Args, State> = {
  readonly command: Command<Args, State>;
  /** The same with a resource that is not there. */
  readonly absent: Args;
  /** Where the config names no resources but a cloud: what the absent one is called. Its places are the same as any other's. */
  readonly absentResource?: string;
  /** A state that a policy could have judged and that is not the case now. */
  readonly stale: State;
  /** The cloud cannot be asked what a call became: an intent without an outcome stays unknown. */
  readonly told?: "never";
  /** What is the case, as someone else sees it: `dig`, `openssl`, the kernel. */
  look(): Promise<"before" | "after" | "other">;
  end(): Promise<void>;
};

/** What every provider owes the road, for each of its actions, whatever it stands on. `holds` throws when it is not so. */
export type Claim = {
  readonly words: string;
  holds<Args, State>(one: Case<Args, State>): Promise<void>;
};

/** Codes go into entries and reports: a cloud's own words never do (they go to `details/`). */
const CODE = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/;

/** An intent holds them as canonical JSON, and reconcile is given them back from there. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

async function breaks<Args, State>(
  { command, look }: Case<Args, State>,
  code: GateBreach["code"],
  narrow: Partial<GateOptions>,
): Promise<void> {
  const { action, args, resource } = command;
  const found = await see(command);
  const gate = makeGate({
    table: action.operations,
    places: action.places(args),
    beside: action.beside?.(args) ?? [],
    resource,
    phase: "all",
    beforeChange: () => undefined,
    now: () => host.clock.monotonic(),
    record: () => undefined,
    ...narrow,
  });
  const error = await action.execute(gate, args, found, errand()).then(
    () => null,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(GateBreach);
  expect(gate.breach()?.code).toBe(code);
  expect(await look()).toBe("before");
}

async function halts<Args, State>({ command, look }: Case<Args, State>, why: "suspended" | "deadline"): Promise<void> {
  const beforeChange = () => {
    throw new Halted(why);
  };
  expect(await act(command, { beforeChange })).toMatchObject({
    result: "failed",
    code: why,
    changed: [],
    certificate: null,
  });
  expect(await look()).toBe("before");
}

/** A certificate stands in the outcome exactly when the command was for one: the judged key's. */
function expectCertificate(args: unknown, { certificate }: Executed): void {
  if (typeof args !== "object" || args === null || !("csrDer" in args)) {
    expect(certificate).toBeNull();
    return;
  }
  const request = new Pkcs10CertificateRequest(args.csrDer as Uint8Array<ArrayBuffer>);
  const leaf = new X509Certificate(Buffer.from(certificate?.[0] ?? "", "base64"));
  const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  const key = leaf.publicKey.export({ type: "spki", format: "der" });
  expect(digest(key)).toBe(digest(new Uint8Array(request.publicKey.rawData)));
  // The leaf and at most three above it, each signed by the next.
  const chain = (certificate ?? []).map((der) => new X509Certificate(Buffer.from(der, "base64")));
  expect(chain.length).toBeLessThanOrEqual(4);
  for (const [at, above] of chain.slice(1).entries()) expect(chain[at]?.verify(above.publicKey)).toBe(true);
}

export const CLAIMS: readonly Claim[] = [
  {
    words: "describe reads, and changes nothing",
    async holds({ command, look }) {
      const state = await see(command);
      expect(plain(state)).toEqual(state);
      expect(await look()).toBe("before");
    },
  },
  {
    words: "a resource that is not there is missing",
    async holds({ command, absent, absentResource }) {
      const { action, args, resource } = command;
      const { gate } = gateFor(action, absent, absentResource ?? resource, { phase: "read" });
      expect(await action.describe(gate, absent, errand())).toHaveProperty("missing");
      expect(action.places(absent)).toEqual(absentResource === undefined ? [] : action.places(args));
    },
  },
  {
    words: "execute succeeds when what was wanted is true for others too",
    async holds({ command, look }) {
      const done = await act(command);
      expect(done).toMatchObject({ result: "succeeded", code: null });
      expect(done.changed.length).toBeGreaterThan(0);
      expect(await look()).toBe("after");
    },
  },
  {
    words: "a certificate is in the outcome when one was issued, and in no other",
    async holds({ command }) {
      expectCertificate(command.args, await act(command));
    },
  },
  {
    words: "every call is in the table, about the one resource, and one at least changes",
    async holds({ command }) {
      const { action, args } = command;
      const { operations } = await act(command);
      const beside = action.beside?.(args) ?? [];
      for (const { operation, resource, status, changes } of operations) {
        // Its own, or beside it: each ground with a table of its own.
        const ground = beside.find(({ resources }) => resources.includes(resource));
        const table = ground?.table ?? (resource === command.resource ? action.operations : []);
        const row = table.find((candidate) => candidate.operation === operation);
        expect([resource, status, changes]).toEqual([resource, "ok", row?.kind === "change"]);
        expect(row).toBeDefined();
      }
      expect(operations.some(({ changes }) => changes)).toBe(true);
    },
  },
  {
    words: "another state than was judged: failed, and nothing changed",
    async holds({ command, stale, look }) {
      expect(stale).not.toEqual(await see(command));
      const done = await act(command, {}, errand(), stale);
      expect(done).toMatchObject({ result: "failed", changed: [], certificate: null });
      expect(done.code).toMatch(CODE);
      expect(done.operations.filter(({ changes }) => changes)).toEqual([]);
      expect(await look()).toBe("before");
    },
  },
  {
    words: "after a crash before the call reconcile never says that it was done",
    async holds({ command, look, told }) {
      const found = await see(command);
      const recalled = await recall(command, found);
      expect(recalled).toMatchObject({ result: told === "never" ? "unknown" : "failed", changed: [] });
      expect(recalled.code).toMatch(CODE);
      // What failed surely is known by something.
      expect(recalled.known_by === "nothing").toBe(told === "never");
      expect(await look()).toBe("before");
    },
  },
  {
    words: "after a crash between the call and its outcome reconcile says that it was done, or that nobody can tell",
    async holds({ command, look, told }) {
      const found = await see(command);
      const own = errand();
      const done = await act(command, {}, own, found);
      const recalled = await recall(command, found, own);
      if (told === "never") expect(recalled).toMatchObject({ result: "unknown", known_by: "nothing", changed: [] });
      else {
        expect(recalled).toMatchObject({ result: "succeeded", code: null, certificate: done.certificate });
        // What was changed is said again, as far as it can still be seen.
        expect(recalled.changed.length).toBeGreaterThan(0);
        expect(done.changed).toEqual(expect.arrayContaining([...recalled.changed]));
        expect(recalled.known_by).not.toBe("nothing");
      }
      expect(await look()).toBe("after");
    },
  },
  { words: "suspended before the first change: failed, nothing changed", holds: (one) => halts(one, "suspended") },
  { words: "deadline before the first change: failed, nothing changed", holds: (one) => halts(one, "deadline") },
  {
    words: "a gate for another resource is a breach, and nothing changes",
    holds: (one) => breaks(one, "gate.resource", { resource: `${one.command.resource}x` }),
  },
  {
    words: "a gate for reads only is a breach, and nothing changes",
    holds: (one) => breaks(one, "gate.operation", { phase: "read" }),
  },
  {
    words: "a gate whose table has no change is a breach, and nothing changes",
    holds: (one) =>
      breaks(one, "gate.operation", { table: one.command.action.operations.filter(({ kind }) => kind === "read") }),
  },
  {
    words: "a gate for another host is a breach, and nothing changes",
    holds: (one) =>
      breaks(one, "gate.place", {
        places: one.command.action.places(one.command.args).map((place) => ({ ...place, host: `${place.host}x` })),
      }),
  },
  {
    words: "a gate for another region is a breach, and nothing changes",
    holds: (one) =>
      breaks(one, "gate.place", {
        places: one.command.action.places(one.command.args).map((place) => ({ ...place, region: "elsewhere" })),
      }),
  },
  {
    words: "a gate whose changes travel by another method is a breach, and nothing changes",
    holds: (one) =>
      breaks(one, "gate.place", {
        table: one.command.action.operations.map((row) => (row.kind === "change" ? { ...row, method: "OTHER" } : row)),
      }),
  },
];
