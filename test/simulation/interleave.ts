import { FAULT_STATUS, Faulted } from "../../control/fault.ts";

import { renewInGrace } from "../../control/renew.ts";
import { send } from "../../control/send.ts";
import type { Store } from "../../control/store.ts";
import { pemOf } from "../control/client.ts";
import {
  bodyOf,
  type Certified,
  copyOf,
  crash,
  graceBody,
  type Holder,
  intend,
  keyPool,
  newHolder,
  nextKey,
  openLog,
  processOf,
  type Sent,
} from "./holders.ts";
import { type Kept, keep, restore } from "./kept.ts";
import {
  AGENTS_URL,
  CLUSTER,
  type ControlPlane,
  callerOf,
  controlPlane,
  DOMAIN,
  ENROL_URL,
  type VendorKeys,
} from "./plane.ts";
import { breachOf, type Heard, type Memory, moment, newMemory, remember, signOf, tell } from "./told.ts";

/** All there is between two steps. */
export type State = { readonly holders: Holder[]; readonly memory: Memory; kept: Kept };
/** What became of a step: a new state, or what did not hold. */
export type Stepped = { readonly state: State } | { readonly breach: string };
export type Ground = {
  readonly first: State;
  step(from: State, step: string): Promise<Stepped>;
  /** What does not hold of an agent that is alone in this state; null when all does. */
  alone(from: State): Promise<string | null>;
  close(): void;
};
/**
 * Mistakes of a control plane. `blind`: statements of SQL that it does not make; `careless`: it says that it holds what has the length of what
 * it holds; `noncesAreYoung`: whatever comes with a nonce was made now.
 */
export type Broken = {
  readonly blind?: readonly string[];
  readonly careless?: boolean;
  readonly noncesAreYoung?: boolean;
};

type Parsed = { readonly code?: string; readonly commands?: readonly string[]; readonly chain?: readonly string[] };
type Answer = Heard & { readonly body: Parsed };

/** The real handlers over a state in memory; every step begins from a state that was kept. */
export async function groundOf(shared: VendorKeys, broken: Broken = {}): Promise<Ground> {
  const pool = await keyPool();
  const keys = { ...shared, authority: rememberingAuthority(shared.authority) };
  const blind: string[] = [];
  const plane = await controlPlane({ after: () => ({ cancel: () => undefined }) }, keys, blind);
  // One nonce stands on several branches: that it is good once is not looked at here, when it was made is the request's own.
  const { nonces } = plane;
  const ours = { store: plane.store, trustDomain: DOMAIN, enrolUrl: ENROL_URL, agentsUrl: AGENTS_URL, verify: nobody };
  const chains = new Map<number, readonly string[]>();
  const callers = new Map<number, NonNullable<ReturnType<typeof callerOf>>>();
  const tokens = { agent: await plane.newToken(3600), replacement: await plane.newToken(7200) };

  async function enrol(name: "agent" | "replacement", epoch: number): Promise<Holder> {
    const holder = newHolder(name, epoch);
    const { csr, key } = pool[holder.key] as Certified;
    const body = JSON.stringify({ token: tokens[name], proof: null, nonce: null, csr });
    const answer = await read(await plane.enrolment("POST", "/v1/enroll", body));
    if (answer.status !== 200) throw new Error(`no enrolment: ${JSON.stringify(answer)}`);
    chains.set(holder.key, answer.body.chain ?? []);
    openLog(holder, answer.body.chain ?? [], key);
    return holder;
  }

  async function deliver(sent: Sent): Promise<Answer> {
    const answer = await post(sent);
    if (answer.body.chain !== undefined) chains.set(sent.asked, answer.body.chain);
    return answer;
  }

  async function post(sent: Sent): Promise<Answer> {
    const { csr, key } = pool[sent.line.key] as Certified;
    const asked = (pool[sent.asked] as Certified | undefined)?.csr ?? csr;
    const chain = chains.get(sent.line.key) ?? [];
    if (sent.kind === "grace") {
      const body = graceBody(asked, chain, nonces.make(), key);
      const made = broken.noncesAreYoung === true ? Number.MAX_SAFE_INTEGER : sent.line.stamp;
      const answer = await renewInGrace({ ...keys, ...ours }, { ...nonces, madeAt: () => made }, body).catch(faulted);
      return answer instanceof Faulted
        ? { status: FAULT_STATUS[answer.code], code: answer.code, body: {} }
        : { status: 200, code: "", body: answer };
    }
    if (broken.careless === true && sent.kind === "report" && (await heldOf(plane.store)) === sent.lines.length)
      return { status: 200, code: "", body: {} };
    const caller = callers.get(sent.line.key) ?? callerOf(pemOf(chain[0] ?? ""), key.pem);
    if (caller === null) throw new Error("a certificate of another key");
    callers.set(sent.line.key, caller);
    const path = { poll: "/v1/commands", report: "/v1/reports", renew: "/v1/renew" }[sent.kind];
    const body = JSON.stringify(sent.kind === "renew" ? { csr: asked } : bodyOf(sent));
    const gone = new AbortController();
    return read(await plane.agents(path, body, { ...caller, port: sent.line.port }, gone.signal, () => undefined));
  }

  /** Delivers, and judges the answer. The breach, or what was heard. */
  async function judged(state: State, sent: Sent): Promise<string | Answer> {
    const sign = signOf(state.memory, sent);
    // The bytes alone are to tell then: that both are told is a fault without any sign.
    if (sign !== null && broken.careless !== true) state.memory.shown ??= sign;
    const answer = await deliver(sent);
    const breach = breachOf(state.memory, sent, answer);
    if (breach !== null) return breach;
    remember(state.memory, sent, answer);
    return answer;
  }

  async function act(state: State, step: string): Promise<string | null> {
    if (step === "copy") {
      state.holders.push(copyOf(holderOf(state, "agent")));
      return null;
    }
    if (step === "replace") {
      state.holders.push(await enrol("replacement", 2));
      Object.assign(state.memory, { ...newMemory(), epoch: 2, newest: 6, told: state.memory.told });
      return null;
    }
    const [name = "", what = "", how = ""] = step.split(" ");
    const holder = holderOf(state, name);
    if (what === "crashes") crash(holder);
    else if (what === "writes") intend(holder);
    else if (what === "connects") connect(plane, holder);
    else if (what === "late") return late(state, holder);
    else return asks(state, holder, what as Sent["kind"], how);
    return null;
  }

  async function late(state: State, holder: Holder): Promise<string | null> {
    const sent = holder.flight;
    holder.flight = null;
    const answer = sent === null ? "nothing was on its way" : await judged(state, sent);
    return typeof answer === "string" ? answer : null;
  }

  async function asks(state: State, holder: Holder, kind: Sent["kind"], how: string): Promise<string | null> {
    const sent = prepare(plane, holder, kind);
    if (how === "late") {
      holder.flight = sent;
      holder.line = null;
      return null;
    }
    const answer = await judged(state, sent);
    if (typeof answer === "string") return answer;
    if (how === "lost" || answer.status !== 200) holder.line = null;
    return how === "lost" || answer.status !== 200 ? null : hear(state, holder, sent, answer);
  }

  const ground: Omit<Ground, "first"> = {
    async step(from, step) {
      await restore(plane.store, from.kept);
      const state: State = structuredClone({ holders: from.holders, memory: from.memory, kept: from.kept });
      const breach = await act(state, step);
      if (breach !== null) return { breach };
      state.kept = await keep(plane.store);
      return { state };
    },
    async alone(from) {
      if (!from.kept["copies"]?.startsWith("[]")) return "an agent that is alone was fenced";
      await restore(plane.store, from.kept);
      const state = structuredClone(from);
      const holder = holderOf(state, "agent");
      crash(holder);
      for (const kind of ["poll", "report", "renew"] as const) {
        if (kind === "renew" && nextKey(holder) === null) continue;
        if (holder.line === null) connect(plane, holder);
        const answer = await judged(state, prepare(plane, holder, kind));
        if (typeof answer === "string") return answer;
        if (answer.status !== 200) return `an agent that is alone cannot ${kind}: ${answer.code}`;
      }
      return null;
    },
    close: () => plane.close(),
  };
  const state: State = { holders: [await enrol("agent", 1)], memory: newMemory(), kept: {} };
  for (const group of ["brokers", "workers"]) {
    const asked = { action: "scale" as const, args: { group, count: 2 } };
    const wish = { dir: keys.dir, cluster: CLUSTER, asked, by: "maria", why: "INC-1", lifetime: 600, dryRun: false };
    await send(plane.store, wish, keys.signer);
  }
  connect(plane, holderOf(state, "agent"));
  const opened = await asks(state, holderOf(state, "agent"), "report", "heard");
  if (opened !== null || state.memory.held.length !== 1) throw new Error(`the log was not opened: ${opened}`);
  state.kept = await keep(plane.store);
  blind.push(...(broken.blind ?? []));
  return { ...ground, first: state };
}

async function nobody(): Promise<never> {
  throw new Error("this world has no platform");
}

function faulted(error: unknown): Faulted {
  if (error instanceof Faulted) return error;
  throw error;
}

/** The same certificate for the same key, in whatever order they are asked for. */
function rememberingAuthority(authority: VendorKeys["authority"]): VendorKeys["authority"] {
  const issued = new Map<string, ReturnType<typeof authority.issue>>();
  return {
    ...authority,
    issue(id, spki) {
      const name = Buffer.from(spki).toString("hex");
      const known = issued.get(name) ?? authority.issue(id, spki);
      issued.set(name, known);
      return known;
    },
  };
}

export function holderOf(state: State, name: string): Holder {
  const holder = state.holders.find((one) => one.name === name);
  if (holder === undefined) throw new Error(`there is no ${name}`);
  return holder;
}

function connect(plane: ControlPlane, holder: Holder): void {
  const accepted = newMoment();
  holder.line = { port: plane.accept(), accepted, stamp: plane.newest(), key: holder.heard ?? holder.key };
  newMoment();
}

/** Two moments are never one. */
function newMoment(): string {
  const before = moment();
  while (moment() === before);
  return moment();
}

function prepare(plane: ControlPlane, holder: Holder, kind: Sent["kind"]): Sent {
  if (kind === "report") intend(holder);
  const asked = nextKey(holder) ?? holder.key;
  if (kind === "renew" || kind === "grace") holder.asked = asked;
  const line =
    kind === "grace"
      ? { port: 0, accepted: newMoment(), stamp: plane.newest(), key: holder.heard ?? holder.key }
      : holder.line;
  if (line === null) throw new Error("there is no connection");
  return {
    kind,
    name: holder.name,
    epoch: holder.epoch,
    line,
    process: processOf(holder),
    lines: [...holder.lines],
    asked,
  };
}

/** What a holder does with an answer of 200. */
function hear(state: State, holder: Holder, sent: Sent, answer: Answer): string | null {
  if (holder.heard === sent.line.key) {
    holder.key = holder.heard;
    holder.heard = null;
  }
  if (sent.kind === "poll") holder.hand = answer.body.commands?.[0] ?? holder.hand;
  if (sent.kind === "report") return tell(state.memory, holder.name, holder.wrote);
  if (sent.kind === "poll") return null;
  // Durable, and what was opened with the older one closed, before the new one is used.
  holder.heard = sent.asked;
  holder.asked = null;
  holder.renewals++;
  holder.line = null;
  return null;
}

async function heldOf(store: Store): Promise<number> {
  const [row] = await store.transaction((sql) => sql.rows<{ size: number }>("select size from logs where epoch = 1"));
  return row?.size ?? 0;
}

async function read(response: Response): Promise<Answer> {
  const body = (await response.json()) as Parsed;
  return { status: response.status, code: body.code ?? "", body };
}
