import { CallFailed, GateBreach, type Provider } from "../../../providers/provider.ts";
import { type Cloud, sign } from "./cloud.ts";
import { byState, failed, get, put, succeeded, TABLE, tinyProvider, unlessHalted } from "./tiny.ts";

/** A mistake that a provider could have, and the claim of the suite that it breaks. */
export type Broken = {
  readonly mistake: string;
  readonly claim: string;
  make(cloud: Cloud): Provider;
};

const SUCCEEDS = "execute succeeds when what was wanted is true for others too";
const TABLED = "every call is in the table, about the one resource, and one at least changes";
const STALE = "another state than was judged: failed, and nothing changed";
const BEFORE = "after a crash before the call reconcile never says that it was done";
const AFTER = "after a crash between the call and its outcome reconcile says that it was done, or that nobody can tell";
const SUSPENDED = "suspended before the first change: failed, nothing changed";

function scaling(
  mistake: string,
  claim: string,
  change: (cloud: Cloud, well: Provider["scale"]) => Partial<Provider["scale"]>,
): Broken {
  return {
    mistake,
    claim,
    make(cloud) {
      const well = tinyProvider(cloud);
      return { ...well, scale: { ...well.scale, ...change(cloud, well.scale) } };
    },
  };
}

function issuing(
  mistake: string,
  claim: string,
  change: (cloud: Cloud, well: Provider["issue-certificate"]) => Partial<Provider["issue-certificate"]>,
): Broken {
  return {
    mistake,
    claim,
    make(cloud) {
      const well = tinyProvider(cloud);
      const broken = { ...well["issue-certificate"], ...change(cloud, well["issue-certificate"]) };
      return { ...well, "issue-certificate": broken };
    },
  };
}

export const BROKEN: readonly Broken[] = [
  scaling("describe changes what it reads", "describe reads, and changes nothing", (cloud, well) => ({
    async describe(gate, args, errand) {
      await cloud.put("group/web", "1");
      return well.describe(gate, args, errand);
    },
  })),
  scaling("describe's state does not survive an entry of the log", "describe reads, and changes nothing", () => ({
    describe: async () => ({ state: { count: Number.NaN } }),
  })),
  scaling("a group that is not there is an empty one", "a resource that is not there is missing", () => ({
    describe: async () => ({ state: { count: 0 } }),
  })),
  scaling("the outcome is written before the call is made", SUCCEEDS, (_, well) => ({
    async execute(gate, args, found, errand) {
      const done = succeeded("count", String(found.count), String(args.count));
      setTimeout(() => well.execute(gate, args, found, errand).catch(() => undefined), 1);
      return done;
    },
  })),
  scaling("the count is one too many", SUCCEEDS, (_, well) => ({
    execute: (gate, args, found, errand) => well.execute(gate, { ...args, count: args.count + 1 }, found, errand),
  })),
  scaling("the change is made twice", SUCCEEDS, (cloud, well) => ({
    async execute(gate, args, found, errand) {
      const done = await well.execute(gate, args, found, errand);
      if (done.result === "succeeded") await put(cloud, gate, args.group, `group/${args.group}`, String(args.count));
      return done;
    },
  })),
  scaling("the outcome does not say what was changed", SUCCEEDS, (_, well) => ({
    execute: async (...args) => ({ ...(await well.execute(...args)), changed: [] }),
  })),
  scaling("the change goes around the gate", TABLED, (cloud) => ({
    async execute(gate, { group, count }, found) {
      if ((await get(cloud, gate, group, `group/${group}`)) !== String(found.count)) return failed("concurrent");
      await cloud.put(`group/${group}`, String(count));
      return succeeded("count", String(found.count), String(count));
    },
  })),
  scaling("the change is said to be a read", TABLED, () => ({
    operations: TABLE.map((row) => ({ ...row, kind: "read" as const })),
  })),
  scaling("the call leaves without a word to the gate", SUCCEEDS, (cloud) => ({
    execute: (gate, { group, count }, found) =>
      gate.call("tiny:Put", group, async () => {
        await cloud.put(`group/${group}`, String(count));
        return { value: succeeded("count", String(found.count), String(count)), request: null };
      }),
  })),
  scaling("the gate is asked after the bytes left", SUSPENDED, (cloud) => ({
    execute: (gate, { group, count }, found) =>
      unlessHalted(() =>
        gate.call("tiny:Put", group, async (leave) => {
          await cloud.put(`group/${group}`, String(count));
          leave({ host: "tiny.example", region: "tiny", method: "PUT" }, "writing");
          return { value: succeeded("count", String(found.count), String(count)), request: null };
        }),
      ),
  })),
  scaling("the owner's word is taken for success", SUSPENDED, (_, well) => ({
    async execute(gate, args, found, errand) {
      const done = await well.execute(gate, args, found, errand);
      return done.code === "suspended" ? succeeded("count", null, String(args.count)) : done;
    },
  })),
  scaling(
    "a breach of the gate is caught",
    "a gate for another resource is a breach, and nothing changes",
    (_, well) => ({
      execute: (...args) =>
        well.execute(...args).catch((error: unknown) => {
          if (error instanceof GateBreach) return failed("gate");
          throw error;
        }),
    }),
  ),
  scaling(
    "a breach of the gate is told as the cloud's failure",
    "a gate for another host is a breach, and nothing changes",
    (_, well) => ({
      execute: (...args) =>
        well.execute(...args).catch((error: unknown) => {
          throw error instanceof GateBreach ? new CallFailed("denied", error.message, "none") : error;
        }),
    }),
  ),
  scaling("what was judged is not looked at again", STALE, (cloud) => ({
    execute: (gate, { group, count }, found) =>
      unlessHalted(async () => {
        await put(cloud, gate, group, `group/${group}`, String(count));
        return succeeded("count", String(found.count), String(count));
      }),
  })),
  scaling("the code is the cloud's own words", STALE, (_, well) => ({
    async execute(...args) {
      const done = await well.execute(...args);
      return done.code === "concurrent" ? { ...done, code: "Oops: group web is at 1, see https://…" } : done;
    },
  })),
  scaling("reconcile makes the change", BEFORE, (cloud, well) => ({
    async reconcile(gate, args, found, errand) {
      await put(cloud, gate, args.group, `group/${args.group}`, String(args.count));
      return well.reconcile(gate, args, found, errand);
    },
  })),
  scaling("reconcile takes the wish for the deed", BEFORE, () => ({
    reconcile: async (_gate, args, found) => byState(succeeded("count", String(found.count), String(args.count))),
  })),
  scaling("reconcile fails what it knows nothing of", BEFORE, () => ({
    reconcile: async () => ({ ...failed("not-done"), known_by: "nothing" }),
  })),
  scaling("reconcile never finds what was done", AFTER, () => ({
    reconcile: async () => byState(failed("not-done")),
  })),
  issuing(
    "the certificate is not in the outcome",
    "a certificate is in the outcome when one was issued, and in no other",
    (_, well) => ({
      execute: async (...args) => ({ ...(await well.execute(...args)), certificate: null }),
    }),
  ),
  issuing("the certificate found again is another one", AFTER, (_, well) => ({
    async reconcile(gate, args, found, errand) {
      const known = await well.reconcile(gate, args, found, errand);
      return known.certificate === null ? known : { ...known, certificate: [await sign(args.csrDer, "another")] };
    },
  })),
];
