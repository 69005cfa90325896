import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { digestOf } from "../../agent/wire/envelope.ts";
import { spiffeId } from "../../agent/wire/names.ts";
import { cancel, replay, send } from "../../control/send.ts";
import { type Signer, signJws } from "../../control/signer.ts";
import { type CommandRow, nowSeconds, readCluster } from "../../control/store.ts";
import { Complaint } from "../../control/terminal.ts";
import type { Asked } from "../../policy/asked.ts";
import { CLUSTER, type ControlPlane, DOMAIN } from "./plane.ts";
import type { Chance } from "./random.ts";
import { GROUPS, NAMES, type Wanted, ZONE } from "./rules.ts";

/** Bytes that the vendor's command key signed, whoever was meant to get them. Times in seconds. */
export type Minted = {
  readonly id: string;
  readonly jws: string;
  readonly digest: string;
  readonly epoch: number;
  readonly iat: number;
  readonly exp: number;
  readonly wanted: Wanted;
  readonly dryRun: boolean;
};

export type Vendor = {
  /** By digest, from the moment of their signature: what became of the state afterwards takes nothing back. */
  readonly minted: ReadonlyMap<string, Minted>;
  send(wanted: Wanted, lifetime: number, dryRun: boolean): Promise<Minted | null>;
  /** Forges what a hostile control plane could hand out: old bytes again, or new ones that should not be taken. */
  hostile(draw: Chance, epoch: number): string;
  replay(draw: Chance): Promise<void>;
  cancel(draw: Chance): Promise<void>;
  rows(): Promise<readonly CommandRow[]>;
};

/** `near`: how many brokers there are; most of what is asked for is a step from there. */
export function drawWanted(draw: Chance, near = 4): Wanted {
  const roll = draw.int(0, 9);
  if (roll < 5)
    return { action: "scale", group: "brokers", count: Math.max(0, near + draw.pick([-2, -1, -1, 1, 1, 2])) };
  if (roll < 6) return { action: "scale", group: "brokers", count: draw.int(0, 9) };
  if (roll < 8) return { action: "scale", group: draw.pick(GROUPS), count: draw.int(0, 5) };
  const change = draw.pick(["create", "replace", "replace", "delete"] as const);
  const address = `10.${draw.odds(0.9) ? 20 : 21}.0.${draw.int(1, 9)}`;
  return { action: "update-dns", name: draw.pick(NAMES), change, values: change === "delete" ? [] : [address] };
}

export function askedOf(wanted: Wanted): Asked {
  if (wanted.action === "scale") return { action: "scale", args: { group: wanted.group, count: wanted.count } };
  const { name, change, values } = wanted;
  return { action: "update-dns", args: { zone: ZONE, name, type: "A", change, values: [...values], ttl: 60 } };
}

/** `draw`: ids, so that they are the same in every replay. */
export function vendorOf(plane: ControlPlane, draw: Chance): Vendor {
  const minted = new Map<string, Minted>();
  const { signer, dir } = plane.keys;
  /** Signs as the vendor, and keeps whatever it signed. */
  const signing = (wanted: Wanted): Signer => ({
    ...signer,
    sign(bytes) {
      const signature = signer.sign(bytes);
      keep(`${Buffer.from(bytes).toString()}.${Buffer.from(signature).toString("base64url")}`, wanted);
      return signature;
    },
  });
  const keep = (jws: string, wanted: Wanted): void => {
    const claims = JSON.parse(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString());
    const { jti: id, epoch, iat, exp, dry_run: dryRun } = claims;
    minted.set(digestOf(jws), { id, jws, digest: digestOf(jws), epoch, iat, exp, wanted, dryRun });
  };
  const forge = (claims: { jti: string; epoch: number; iat: number; exp: number }, wanted: Wanted): string => {
    const rest = { iss: DOMAIN, aud: spiffeId(DOMAIN, CLUSTER), by: "mallory", why: "none", dry_run: false };
    const header = canonical({ alg: "Ed25519", kid: signer.kid, typ: "reeve-command+jwt" });
    const body = canonical({ ...rest, ...claims, ...askedOf(wanted) } as unknown as Json);
    return signJws(header, body, signing(wanted));
  };
  return {
    minted,
    async send(wanted, lifetime, dryRun) {
      const wish = { dir, cluster: CLUSTER, asked: askedOf(wanted), by: "maria", why: "INC-1", lifetime, dryRun };
      try {
        const sent = await send(plane.store, wish, signing(wanted));
        return minted.get(sent.digest) ?? null;
      } catch (error) {
        if (error instanceof Complaint) return null;
        throw error;
      }
    },
    hostile(chance, epoch) {
      const known = [...minted.values()];
      const old = known.length === 0 ? null : chance.pick(known);
      const now = nowSeconds();
      const fresh = { jti: uuid(draw, now), epoch, iat: now - 5, exp: now + 600 };
      const roll = chance.int(0, 5);
      // The very bytes again; the same id with other bytes; another epoch; already expired; before its time; mad, but in form.
      if (roll === 0 && old !== null) return old.jws;
      if (roll === 1 && old !== null) return forge({ ...fresh, jti: old.id }, drawWanted(chance));
      if (roll === 2) return forge({ ...fresh, epoch: epoch + chance.pick([-1, 1, 2]) || 9 }, drawWanted(chance));
      if (roll === 3) return forge({ ...fresh, iat: now - 7200, exp: now - 60 }, drawWanted(chance));
      if (roll === 4) return forge({ ...fresh, exp: now + 3 * 86_400 }, drawWanted(chance));
      return forge(fresh, drawWanted(chance));
    },
    async replay(chance) {
      const done = (await rows(plane)).filter(({ state }) => state !== "queued");
      if (done.length > 0) await replay(plane.store, chance.pick(done).id);
    },
    async cancel(chance) {
      const open = (await rows(plane)).filter(({ state }) => ["queued", "handed-out", "waiting"].includes(state));
      if (open.length > 0) await cancel(plane.store, chance.pick(open).id);
    },
    rows: () => rows(plane),
  };
}

async function rows(plane: ControlPlane): Promise<CommandRow[]> {
  return plane.store.transaction((sql) => sql.rows<CommandRow>("select * from commands order by id"));
}

export async function currentEpoch(plane: ControlPlane): Promise<number> {
  return (await plane.store.transaction((sql) => readCluster(sql, CLUSTER)))?.epoch ?? 0;
}

function uuid(draw: Chance, seconds: number): string {
  const hex = Array.from({ length: 20 }, () => draw.int(0, 15).toString(16)).join("");
  const time = (seconds * 1000).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex.slice(0, 3)}-8${hex.slice(3, 6)}-${hex.slice(6, 18)}`;
}
