import type { Entry } from "../../../agent/audit/entry.ts";
import { letAct } from "../../../control/epoch.ts";
import type { Peer } from "../../../control/peer.ts";
import { handOut, noteSaid } from "../../../control/poll.ts";
import { settle } from "../../../control/report.ts";
import { nowSeconds, readCluster, type Sql, type Store } from "../../../control/store.ts";
import type { Chance } from "../random.ts";
import type { Time } from "../time.ts";
import type { Judge } from "./judge.ts";
import type { Temper } from "./plan.ts";

/**
 * A cluster as a control plane meets it: it polls, takes commands, and reports what became of them, through the control plane's own handlers.
 * What it does with a command is chance. Its own clock is the true one.
 */
export type Says = "ready" | "suspended" | "refusing";
export type Model = {
  readonly name: string;
  epoch: number;
  says: Says;
  /** True time, milliseconds. */
  silentUntil: number;
  /** By group, where its image lies. */
  readonly images: Map<string, string>;
  /** Commands in hand: not decided yet. */
  readonly held: Map<string, Held>;
  begin(): void;
  rejoin(): Promise<void>;
};
type Held = { readonly id: string; readonly group: string; begun: boolean; lost: boolean };
type Claims = {
  readonly jti: string;
  readonly exp: number;
  readonly epoch: number;
  readonly args: { readonly group: string; readonly manifest: string };
};
type Said = { readonly kind: Entry["kind"]; readonly command: string; readonly [name: string]: unknown };

const POLL_MS = 50_000;
const REDELIVER_SECONDS = 30;
const SILENT_MS = [1_800_000, 10_800_000] as const;

export type Around = {
  readonly store: Store;
  readonly time: Time;
  readonly judge: Judge;
  readonly temper: Temper;
  /** Where a manifest says that a group's image lies. */
  imageOf(manifest: string, group: string): string;
};

export function newModel(name: string, images: Map<string, string>, draw: Chance, at: Around): Model {
  const { store, time, judge, temper } = at;
  const silence = draw.fork("silence");
  const known = new Set<string>();
  let outbox: Said[] = [];
  const told = { process: "", words: new Set<string>() };

  const model: Model = {
    name,
    epoch: 0,
    says: "ready",
    silentUntil: 0,
    images,
    held: new Map(),
    begin() {
      void poll();
    },
    async rejoin() {
      for (const held of model.held.values()) held.lost = true;
      model.held.clear();
      outbox = [];
      model.epoch++;
      await store.transaction(async (sql) => {
        await letAct(sql, name, model.epoch, nowSeconds());
        await sql.run(
          "insert into logs (cluster, epoch, log_key, size, peaks, ahead) values ($1, $2, 'k', 1, '[]', '[]')",
          name,
          model.epoch,
        );
      });
      judge.rejoined(model);
    },
  };

  async function poll(): Promise<void> {
    if (model.epoch > 0 && time.now() >= model.silentUntil) await once();
    const busy = model.held.size > 0 || outbox.length > 0;
    time.after(draw.int(busy ? 5000 : POLL_MS - 10_000, busy ? 20_000 : POLL_MS), () => void poll());
  }

  async function once(): Promise<void> {
    const says = model.says;
    const epoch = model.epoch;
    const saying = outbox.splice(0);
    const heard = await store.transaction(async (sql) => {
      const peer = { cluster: name, epoch } as Peer;
      const before = await readCluster(sql, name);
      if (before?.epoch !== epoch) return null;
      const process = `${name}/${epoch}`;
      const poll = {
        process,
        epoch,
        checkpoint: "",
        state: says,
        reason: "",
        version: "1",
        trust_version: 1,
        take: 16,
      };
      await noteSaid(sql, name, before, poll as never);
      for (const [index, said] of saying.entries())
        await settle(sql, peer, { index, digest: null, code: null, ...said } as never, JSON.stringify(said));
      return (await hasOpen(sql, name)) ? handOut(sql, peer, poll as never, told, REDELIVER_SECONDS) : null;
    });
    if (epoch !== model.epoch) return;
    judge.polled(model, says);
    for (const said of saying) judge.reported(model, said);
    if (saying.some(({ result }) => result === "succeeded") && silence.odds(temper.silences))
      model.silentUntil = Math.max(model.silentUntil, time.now() + silence.int(...SILENT_MS));
    if (heard === null || !("answer" in heard)) return;
    for (const id of heard.answer.cancel) takenBack(id);
    for (const jws of heard.answer.commands) take(jws);
  }

  function take(jws: string): void {
    const claims = JSON.parse(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString()) as Claims;
    const { jti: id, args } = claims;
    if (known.has(id)) return;
    known.add(id);
    const code = refusalOf(claims);
    if (code !== null) {
      refuse(id, code);
      return;
    }
    const held = { id, group: args.group, begun: false, lost: false };
    model.held.set(id, held);
    if (!draw.odds(temper.waits)) {
      execute(held, claims);
      return;
    }
    outbox.push({ kind: "waiting", command: id });
    const approved = draw.odds(0.7);
    time.after(draw.int(60_000, 2 * 3600_000), () => {
      if (model.held.get(id) !== held) return;
      if (approved && claims.exp * 1000 > time.now() && model.says === "ready") {
        execute(held, claims);
        return;
      }
      model.held.delete(id);
      refuse(id, "policy.approval");
    });
  }

  function refuse(id: string, code: string): void {
    outbox.push({ kind: "refused", command: id, code });
  }

  function refusalOf(claims: Claims): string | null {
    if (claims.epoch !== model.epoch) return "verify.epoch";
    if (claims.exp * 1000 <= time.now()) return "verify.expired";
    if (model.says !== "ready") return "verify.suspended";
    return draw.odds(temper.refuses) ? "policy.when" : null;
  }

  function execute(held: Held, { jti: id, args }: Claims): void {
    held.begun = true;
    outbox.push({ kind: "intent", command: id });
    time.after(draw.int(1000, temper.slowest), () => {
      if (held.lost) {
        if (draw.odds(0.5)) images.set(args.group, at.imageOf(args.manifest, args.group));
        return;
      }
      model.held.delete(id);
      const chosen = draw.unit();
      const result =
        chosen < temper.fails ? "failed" : chosen < temper.fails + temper.unknown ? "unknown" : "succeeded";
      if (result === "succeeded") images.set(args.group, at.imageOf(args.manifest, args.group));
      outbox.push({ kind: "outcome", command: id, result, code: result === "failed" ? "rolled-back" : null });
    });
  }

  function takenBack(id: string): void {
    const held = model.held.get(id);
    if (held === undefined || held.begun) return;
    model.held.delete(id);
    outbox.push({ kind: "cancelled", command: id });
  }

  return model;
}

async function hasOpen(sql: Sql, cluster: string): Promise<boolean> {
  const rows = await sql.rows(
    "select id from commands where cluster = $1 and state in ('queued', 'handed-out', 'waiting', 'intent') limit 1",
    cluster,
  );
  return rows.length > 0;
}
