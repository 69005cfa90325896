import { thumbprint } from "../agent/wire/trust.ts";
import { rootDigest } from "./roots.ts";
import { readStatements, type Statement } from "./statement.ts";
import { type ClusterRow, readCluster, type Sql } from "./store.ts";
import { Complaint, printable, table } from "./terminal.ts";

/** A trust statement for a program: keys by name, roots by SHA-256. */
type ShownStatement = {
  readonly version: number;
  readonly digest: string;
  /** Seconds since 1970. */
  readonly iat: number;
  readonly signed_by: { readonly kid: string; readonly thumbprint: string };
  readonly command_keys: readonly ShownKey[];
  readonly witness_keys: readonly ShownKey[];
  readonly roots: readonly string[];
};
type ShownKey = { readonly kid: string; readonly x: string; readonly thumbprint: string };
export type ShownTrust = {
  readonly cluster: string;
  /** 0: nobody has enrolled. */
  readonly epoch: number;
  /** Version of the newest statement that the acting agent has accepted, as it last said; 0 for none. */
  readonly accepted: number;
  readonly statements: readonly ShownStatement[];
};

export async function readTrust(sql: Sql, cluster: string): Promise<ShownTrust> {
  const row = await readCluster(sql, cluster);
  const statements = await readStatements(sql, cluster);
  if (row === null && statements.length === 0)
    throw new Complaint(
      1,
      `show the trust statements of ${cluster}`,
      "no such cluster is known here",
      "See `reeve-control fleet`.",
    );
  return shown(cluster, row, statements);
}

async function shown(cluster: string, row: ClusterRow | null, statements: readonly Statement[]): Promise<ShownTrust> {
  const all: ShownStatement[] = [];
  for (const one of statements) {
    const namedBy = (all.at(-1)?.command_keys ?? (await keysOf(one.claims.command_keys))).find(
      (key) => key.x === one.x,
    );
    all.push({
      version: one.version,
      digest: one.digest,
      iat: one.claims.iat,
      signed_by: { kid: namedBy?.kid ?? "?", thumbprint: await thumbprint(one.x) },
      command_keys: await keysOf(one.claims.command_keys),
      witness_keys: await keysOf(one.claims.witness_keys),
      roots: one.claims.roots.map(rootDigest),
    });
  }
  return { cluster, epoch: row?.epoch ?? 0, accepted: row?.trust_version ?? 0, statements: all };
}

function keysOf(keys: readonly { readonly kid: string; readonly x: string }[]): Promise<ShownKey[]> {
  return Promise.all(keys.map(async ({ kid, x }) => ({ kid, x, thumbprint: await thumbprint(x) })));
}

export async function readFleetTrust(sql: Sql): Promise<ShownTrust[]> {
  const fleet: ShownTrust[] = [];
  for (const row of await sql.rows<ClusterRow>("select * from clusters order by cluster"))
    fleet.push(await shown(row.cluster, row, await readStatements(sql, row.cluster)));
  return fleet;
}

/** Each statement with what it adds (+) and drops (-) beside the one before. */
export function trustText(trust: ShownTrust): string {
  const lines = [`${trust.cluster}: ${acceptedWords(trust)}`];
  for (const [index, one] of trust.statements.entries()) {
    const before = trust.statements[index - 1];
    const pin = before === undefined ? `  its thumbprint, which configs pin: ${one.signed_by.thumbprint}` : "";
    lines.push(
      `statement ${one.version}  ${new Date(one.iat * 1000).toISOString()}  ${one.digest}`,
      `  signed by     ${one.signed_by.kid}${pin}`,
      `  command keys  ${changes(before?.command_keys.map(nameOf), one.command_keys.map(nameOf))}`,
      `  roots         ${changes(before?.roots, one.roots)}`,
      `  witness keys  ${changes(before?.witness_keys.map(nameOf), one.witness_keys.map(nameOf)) || "none"}`,
    );
  }
  return `${lines.map(printable).join("\n")}\n`;
}

function acceptedWords(trust: ShownTrust): string {
  const newest = trust.statements.at(-1)?.version ?? 0;
  if (newest === 0) return "no trust statement yet; its first token or command signs it";
  const agent =
    trust.epoch === 0 ? "no agent has enrolled" : `its agent (epoch ${trust.epoch}) has accepted ${trust.accepted}`;
  return `newest statement ${newest}; ${agent}`;
}

function nameOf(key: ShownKey): string {
  return key.kid;
}

function changes(before: readonly string[] | undefined, now: readonly string[]): string {
  if (before === undefined) return now.join(", ");
  const kept = now.map((one) => (before.includes(one) ? one : `+${one}`));
  return [...kept, ...before.filter((one) => !now.includes(one)).map((one) => `-${one}`)].join(", ");
}

export function fleetTrustText(fleet: readonly ShownTrust[]): string {
  if (fleet.length === 0) return "no cluster yet\n";
  return table(
    [
      ["cluster", "newest", "accepted", "command keys", "roots"],
      ...fleet.map((one) => {
        const newest = one.statements.at(-1);
        return [
          one.cluster,
          String(newest?.version ?? "-"),
          one.epoch === 0 ? "-" : String(one.accepted),
          newest?.command_keys.map(nameOf).join(", ") ?? "-",
          newest?.roots.map((root) => root.slice(0, 12)).join(", ") ?? "-",
        ];
      }),
    ],
    [],
  );
}
