import { createPublicKey } from "node:crypto";
import type { Authority } from "./ca.ts";
import { droppedRoots, liveRoots, rootInUse } from "./roots.ts";
import { readMeta, type Sql, writeMeta } from "./store.ts";
import { Complaint } from "./terminal.ts";
import { type WitnessKey, witnessKeyText } from "./witness/key.ts";

/**
 * All who serve on one store have the same DIR/ca: an agent comes to any of them with what another one gave it. So the store remembers
 * whose keys it has been served with, and a folder that does not hold them serves nobody. Throws a Complaint (6).
 */
export async function keepSameKeys(
  sql: Sql,
  dir: string,
  keys: { readonly authority: Pick<Authority, "tokenKey">; readonly witness: WitnessKey },
): Promise<void> {
  const no = (because: string): never => {
    throw new Complaint(
      6,
      `serve from ${dir}`,
      because,
      "Copy ca/ from a replica of this control plane as a whole, with its owners and modes, and start again.",
    );
  };
  const { x = "" } = createPublicKey(keys.authority.tokenKey).export({ format: "jwk" });
  if (await isOther(sql, "token_key", x)) no("its ca/token.key is not the one that this state was served with");
  if (await isOther(sql, "witness_key", witnessKeyText(keys.witness)))
    no("its ca/witness.json is not the one that this state was served with");
  const served = JSON.parse((await readMeta(sql, "roots")) ?? "[]") as string[];
  const known = [...liveRoots(dir), ...droppedRoots(dir)].map((root) => root.sha256);
  const missing = served.find((root) => !known.includes(root));
  if (missing !== undefined) no(`its ca/ does not have the root ${missing}, by which agents' certificates were issued`);
  const { sha256 } = rootInUse(dir);
  if (!served.includes(sha256)) await writeMeta(sql, "roots", JSON.stringify([...served, sha256]));
}

async function isOther(sql: Sql, name: string, value: string): Promise<boolean> {
  const known = await readMeta(sql, name);
  if (known === null) await writeMeta(sql, name, value);
  return known !== null && known !== value;
}
