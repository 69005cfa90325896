import type { Asked, Found, History } from "../policy/asked.ts";
import { resourceOf } from "../policy/asked.ts";
import type { Asks } from "../policy/authorize.ts";
import type { Matched } from "../policy/match.ts";
import { parsePolicy } from "../policy/parse.ts";
import type { Policy } from "../policy/policy.ts";
import { isRefusal, type RefusalCode } from "../policy/refusal.ts";
import { stateOf } from "./fleet.ts";
import { judge, matchAt, type Verdict } from "./judge.ts";
import { readIntents, readPolicyEntry, readSeen, thing } from "./known.ts";
import { type ClusterRow, nowSeconds, type Sql, type Store } from "./store.ts";

/** What is to be planned. `found`: said by the operator, for all clusters; null: what the entries say. */
export type Question = {
  readonly asked: Asked;
  readonly found: Found | "unreadable" | null;
  /** Null: all. */
  readonly clusters: readonly string[] | null;
  readonly vendor: string;
  /** Milliseconds since 1970. */
  readonly now: number;
};

/** By what a cluster was judged. `found` null: no state was needed, or none is known. */
export type JudgedBy = {
  readonly digest: string;
  readonly revision: number;
  readonly found: Found | null;
  /** The entry that says what was found; null when the operator said it, or nobody did. */
  readonly entry: number | null;
  /** False: `match` alone decided, which is exact. */
  readonly needed: boolean;
};
export type Planned = {
  readonly cluster: string;
  /** As `fleet` says it. */
  readonly state: string;
  readonly answer: "allow" | "wait" | "refuse" | "depends" | "not-shared" | "away";
  /** Of a cluster that is away: what its agent would say by what is known. */
  readonly once_back: Verdict["answer"] | null;
  readonly rule: string | null;
  readonly code: RefusalCode | null;
  readonly field: string | null;
  readonly because: string | null;
  readonly hint: string | null;
  readonly approval: Asks | null;
  readonly judged_by: JudgedBy | null;
  /** Commands on the same resource that are not decided yet: this one comes after them. */
  readonly open_commands: number;
};

/**
 * What each cluster's agent would say to a command that is not sent: by the policy that its customer shares, and by what the entries
 * handed in say of history and state. Each distinct policy is parsed once.
 */
export async function plan(store: Store, question: Question): Promise<Planned[]> {
  const { rows, digests, open } = await store.read((sql) => readClusters(sql, question));
  const planned: Planned[] = [];
  for (const [digest, group] of Map.groupBy(rows, (row) => digests.get(row.cluster) ?? null)) {
    const policy = digest === null ? null : await store.read((sql) => readPolicy(sql, group, digest));
    const matched = group.map((row) => ({
      row,
      matched: policy === null ? null : matchAt(policy, question.asked, question.vendor, row.cluster),
    }));
    planned.push(
      ...(await store.read(async (sql) => {
        const some: Planned[] = [];
        for (const one of matched) {
          const known = policy === null || digest === null ? null : { policy, digest };
          const judged = await judgeOne(sql, one.row, one.matched, known, question);
          some.push(await conclude(sql, one.row, judged, open.get(one.row.cluster) ?? 0));
        }
        return some;
      })),
    );
  }
  return planned.sort((a, b) => (a.cluster < b.cluster ? -1 : 1));
}

type Clusters = {
  readonly rows: readonly ClusterRow[];
  readonly digests: ReadonlyMap<string, string>;
  readonly open: ReadonlyMap<string, number>;
};
async function readClusters(sql: Sql, question: Question): Promise<Clusters> {
  const all = await sql.rows<ClusterRow>("select * from clusters order by cluster");
  const wanted = question.clusters;
  const shared = await sql.rows<{ cluster: string; epoch: number; digest: string }>(
    "select cluster, epoch, digest from shared",
  );
  const epochs = new Map(all.map((row) => [row.cluster, row.epoch]));
  const open = await sql.rows<{ cluster: string; many: number }>(
    `select cluster, count(*) as many from commands where resource = $1 and exp > $2
     and state in ('queued', 'handed-out', 'waiting', 'intent') group by cluster`,
    resourceOf(question.asked),
    nowSeconds(),
  );
  return {
    rows: all.filter((row) => wanted === null || wanted.includes(row.cluster)),
    digests: new Map(
      shared.filter((one) => epochs.get(one.cluster) === one.epoch).map((one) => [one.cluster, one.digest]),
    ),
    open: new Map(open.map((one) => [one.cluster, Number(one.many)])),
  };
}

/** The text under one digest, which each cluster of the group has shared. */
async function readPolicy(sql: Sql, group: readonly ClusterRow[], digest: string): Promise<Policy | null> {
  const text = "select body from shared where cluster = $1 and digest = $2";
  const [row] = await sql.rows<{ body: string }>(text, group[0]?.cluster ?? "", digest);
  const parsed = row === undefined ? null : parsePolicy(Buffer.from(row.body));
  // It was parsed when it was taken; a newer version of ours may read it no more.
  return parsed === null || "errors" in parsed ? null : parsed.policy;
}

type Judged = { readonly verdict: Verdict; readonly by: JudgedBy };

async function judgeOne(
  sql: Sql,
  row: ClusterRow,
  matched: ReturnType<typeof matchAt> | null,
  known: { readonly policy: Policy; readonly digest: string } | null,
  question: Question,
): Promise<Judged | null> {
  if (matched === null || known === null) return null;
  const by = { digest: known.digest, revision: known.policy.revision };
  if (isRefusal(matched))
    return {
      verdict: { answer: "refuse", refusal: matched },
      by: { ...by, found: null, entry: null, needed: false },
    };
  const seen = question.found === null ? await seenBy(sql, row, question.asked) : null;
  const found = question.found ?? seen?.found ?? null;
  const verdict = judge(matched, found, await readHistory(sql, row, matched, question.now), question.now);
  return {
    verdict,
    by: { ...by, found: found === "unreadable" ? null : found, entry: seen?.entry ?? null, needed: true },
  };
}

async function seenBy(sql: Sql, row: ClusterRow, asked: Asked): Promise<{ found: Found; entry: number } | null> {
  const about = thing(asked);
  const seen = about === null ? null : await readSeen(sql, row, about);
  return seen === null || seen.state === null ? null : { found: seen.state, entry: seen.position };
}

/** The history as the agent's own log has it: intents of the rules that matched, and where its memory begins. Whether its owner calls it the first machine is not known here. */
async function readHistory(sql: Sql, row: ClusterRow, matched: Matched, now: number): Promise<History> {
  const intents = new Map<string, readonly number[]>();
  for (const rule of matched.rules)
    intents.set(rule.id, await readIntents(sql, row, rule.id, now - rule.rate.seconds * 1000));
  return { intents, since: row.epoch === 1 ? null : row.enrolled_at * 1000, revision: matched.policy.revision };
}

const NOTHING = { once_back: null, rule: null, code: null, field: null, because: null, hint: null, approval: null };

/** What the cluster is doing comes first: a switch that is off refuses, whatever the policy says. */
async function conclude(sql: Sql, row: ClusterRow, judged: Judged | null, open: number): Promise<Planned> {
  const state = stateOf(row, []);
  const common = { ...NOTHING, cluster: row.cluster, state, judged_by: judged?.by ?? null, open_commands: open };
  if (state === "never started" || state === "not heard from")
    return { ...common, answer: "away", once_back: judged?.verdict.answer ?? null };
  if (state === "suspended by customer") {
    const because = `the owner's switch is off (${row.reason ?? ""})`;
    return { ...common, answer: "refuse", code: "verify.suspended", because, judged_by: null };
  }
  if (state === "refusing everything") {
    const code = (await readPolicyEntry(sql, row))?.code ?? "verify.clock";
    return { ...common, answer: "refuse", code, because: row.reason ?? "", judged_by: null };
  }
  if (judged === null) return { ...common, answer: "not-shared" };
  return { ...common, ...saidBy(judged.verdict) };
}

function saidBy(verdict: Verdict): Partial<Planned> & Pick<Planned, "answer"> {
  switch (verdict.answer) {
    case "allow":
    case "depends":
      return { answer: verdict.answer, rule: verdict.rule };
    case "wait":
      return { answer: "wait", rule: verdict.rule, approval: verdict.approval };
    case "refuse": {
      const { code, field, because, hint, rule } = verdict.refusal;
      return { answer: "refuse", code, field: field ?? null, because, hint, rule: rule ?? null };
    }
  }
}
