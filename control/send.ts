import { COMMAND_LIFETIME_MAX_SECONDS } from "../agent/limits.ts";
import { canonical, type Json } from "../agent/wire/canonical.ts";
import { CommandClaims } from "../agent/wire/command.ts";
import { open } from "../agent/wire/envelope.ts";
import { CommandId, spiffeId } from "../agent/wire/names.ts";
import { parse } from "../agent/wire/parse.ts";
import { type Asked, resourceOf } from "../policy/asked.ts";
import { isRefusal } from "../policy/refusal.ts";
import type { NamedKey } from "./publicKey.ts";
import { type Signer, signJws } from "./signer.ts";
import { clusterName, readStatements, type Statement, signFirstStatement, trustDomainOf } from "./statement.ts";
import { bumpChanges, type CommandRow, nowSeconds, readCluster, type Sql, type Store } from "./store.ts";
import { Complaint } from "./terminal.ts";

export type Wish = {
  readonly dir: string;
  readonly cluster: string;
  readonly asked: Asked;
  readonly by: string;
  readonly why: string;
  /** Seconds. */
  readonly lifetime: number;
  readonly dryRun: boolean;
};
export type Sent = {
  readonly id: string;
  readonly digest: string;
  readonly epoch: number;
  readonly signedStatement: boolean;
};

/**
 * Signs a command for the cluster's present agent and queues it. The signer works outside of any transaction: it may wait for somebody's
 * finger. Throws a Complaint for what no agent would take.
 */
export async function send(store: Store, wish: Wish, signer: Signer): Promise<Sent> {
  const cluster = clusterName(wish.cluster);
  if (wish.lifetime > COMMAND_LIFETIME_MAX_SECONDS)
    throw new Complaint(2, "send", "a command lives 24 h at most", "Ask for --expires 24h or less.");
  const { trustDomain, epoch } = await store.read(async (sql) => ({
    trustDomain: await trustDomainOf(sql, wish.dir),
    epoch: (await readCluster(sql, cluster))?.epoch ?? 0,
  }));
  if (epoch === 0)
    throw new Complaint(
      1,
      `send to ${cluster}`,
      "no agent has enrolled for it",
      "Give its customer a token: `reeve-control token`.",
    );
  const signedStatement = await signFirstStatement(store, wish.dir, cluster, signer);
  await store.read((sql) => keyIsTrusted(sql, cluster, signer));
  const signed = await signCommand(wish, cluster, trustDomain, epoch, signer);
  await store.transaction(async (sql) => {
    await queue(sql, signed);
    await bumpChanges(sql, cluster);
  });
  return { id: signed.id, digest: signed.digest, epoch, signedStatement };
}

/** A command as it is queued. `exp`: Unix seconds. */
export type SignedCommand = {
  readonly id: string;
  readonly cluster: string;
  readonly epoch: number;
  readonly exp: number;
  readonly resource: string;
  readonly jws: string;
  readonly digest: string;
};
type Words = Pick<Wish, "asked" | "by" | "why" | "lifetime" | "dryRun">;

/** Signs what is asked of a cluster's agent of this epoch. It is read as an agent reads it before it is given out. Throws a Complaint. */
export async function signCommand(
  wish: Words,
  cluster: string,
  trustDomain: string,
  epoch: number,
  signer: Signer,
): Promise<SignedCommand> {
  const claims = claimsOf(wish, cluster, trustDomain, epoch);
  checkClaims(claims);
  const header = canonical({ alg: "Ed25519", kid: signer.kid, typ: "reeve-command+jwt" });
  const jws = signJws(header, canonical(claims as unknown as Json), signer);
  const digest = await readAsAgent(jws, signer);
  const { jti: id, exp } = claims;
  return { id, cluster, epoch, exp, resource: resourceOf(wish.asked), jws, digest };
}

type Claims = { readonly jti: string; readonly exp: number; readonly epoch: number };
function claimsOf(wish: Words, cluster: string, trustDomain: string, epoch: number): Claims {
  // Of one reading of the clock: an agent takes no id that is of another time than `iat`.
  const now = Date.now();
  const iat = Math.floor(now / 1000);
  return {
    iss: trustDomain,
    aud: spiffeId(trustDomain, cluster),
    jti: Bun.randomUUIDv7("hex", now),
    iat,
    exp: iat + wish.lifetime,
    epoch,
    by: wish.by,
    why: wish.why,
    dry_run: wish.dryRun,
    action: wish.asked.action,
    args: defined(wish.asked.args),
  } as Claims;
}

async function queue(sql: Sql, command: SignedCommand): Promise<void> {
  if (await queueFor(sql, command)) return;
  throw new Complaint(
    1,
    `send to ${command.cluster}`,
    "another agent has taken its place while this was signed",
    "Look at `reeve-control fleet`, and send it again.",
  );
}

/** Queues a command for the agent that it was signed for; false, and nothing is done, when another has taken its place. Wakes no poll. */
export async function queueFor(sql: Sql, command: SignedCommand): Promise<boolean> {
  const { id, cluster, epoch, resource, jws, digest, exp } = command;
  if ((await readCluster(sql, cluster))?.epoch !== epoch) return false;
  await sql.run(
    `insert into commands (id, cluster, epoch, resource, jws, digest, exp, state, cancel, replay)
     values ($1, $2, $3, $4, $5, $6, $7, 'queued', 0, 0)`,
    id,
    cluster,
    epoch,
    resource,
    jws,
    digest,
    exp,
  );
  return true;
}

function defined(args: object): object {
  return Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined));
}

/** Judges the arguments of an action alone, as `send` would. Throws a Complaint. */
export function checkAsked(asked: Asked): void {
  const now = nowSeconds();
  const others = { iss: "a", aud: "a", jti: Bun.randomUUIDv7(), iat: now, exp: now, epoch: 1, by: "a", why: "a" };
  checkClaims({ ...others, dry_run: false, action: asked.action, args: defined(asked.args) });
}

/** Wrong flags are the operator's, so they are said in the flags' words. */
function checkClaims(claims: object): void {
  const checked = CommandClaims.safeParse(claims);
  if (checked.success) return;
  const issue = checked.error.issues[0];
  const field =
    issue?.path
      .map(String)
      .join(".")
      .replace(/^args\./, "") || "command";
  throw new Complaint(
    2,
    "send this command",
    `${field} is not of its form (${issue?.message ?? "?"})`,
    "Names are lower case and taken as they are; see docs/PROTOCOL.md.",
  );
}

/** The command goes the agent's own way through open and parse before it is stored. Returns its digest. */
async function readAsAgent(jws: string, signer: Signer): Promise<string> {
  const signed = await open(jws, new Map([[signer.kid, signer.x]]));
  const command = isRefusal(signed) ? signed : parse(signed);
  if (isRefusal(command))
    throw new Complaint(
      1,
      "send this command",
      `an agent would refuse it: ${command.because} (${command.code})`,
      command.hint,
    );
  return command.signed.digest;
}

/** Whether a cluster's newest trust statement names this key. */
export function isTrusted(statements: readonly Statement[], signer: NamedKey): boolean {
  const named = statements.at(-1)?.claims.command_keys ?? [];
  return named.some((key) => key.kid === signer.kid && key.x === signer.x);
}

async function keyIsTrusted(sql: Sql, cluster: string, signer: Signer): Promise<void> {
  const statements = await readStatements(sql, cluster);
  if (isTrusted(statements, signer)) return;
  const named = statements.at(-1)?.claims.command_keys ?? [];
  throw new Complaint(
    1,
    `send to ${cluster}`,
    `its trust statement does not name the key ${signer.kid}`,
    `Sign with a key that it names: ${named.map((key) => key.kid).join(", ")}.`,
  );
}

export async function readCommand(sql: Sql, id: string): Promise<CommandRow> {
  const [row] = CommandId.safeParse(id).success
    ? await sql.rows<CommandRow>("select * from commands where id = $1", id)
    : [];
  if (row === undefined)
    throw new Complaint(
      1,
      `find the command ${id}`,
      "there is none with this id",
      "See `reeve-control fleet commands`.",
    );
  return row;
}

/** The same signed bytes once more, to see them refused. */
export async function replay(store: Store, id: string): Promise<CommandRow> {
  return store.transaction(async (sql) => {
    const row = await readCommand(sql, id);
    if (row.state === "queued")
      throw new Complaint(1, `send ${id} again`, "it has not been handed out yet", "Wait until it has.");
    await sql.run("update commands set replay = 1, replay_line = null where id = $1", id);
    await bumpChanges(sql, row.cluster);
    return row;
  });
}

/** Takes a command back: at once while it is queued; when it was handed out the agent is told, and stops it unless its intent is on record. */
export async function cancel(store: Store, id: string): Promise<"cancelled" | "asked"> {
  return store.transaction(async (sql) => {
    const row = await readCommand(sql, id);
    if (row.state !== "queued" && row.state !== "handed-out" && row.state !== "waiting")
      throw new Complaint(
        1,
        `cancel ${id}`,
        row.state === "intent" ? "its intent is on record already" : `it is ${row.state}`,
        "What has an intent is finished, never stopped.",
      );
    if (row.state === "queued")
      await sql.run("update commands set state = 'cancelled', code = 'queued' where id = $1", id);
    else await sql.run("update commands set cancel = 1 where id = $1", id);
    await bumpChanges(sql, row.cluster);
    return row.state === "queued" ? "cancelled" : "asked";
  });
}
