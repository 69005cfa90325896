import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";

/** Names of Google's resources, from what a policy file and a command say. */

const LABEL = "[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?";
const GROUP = new RegExp(`^(?:(${LABEL})/)?(${LABEL})$`);
const POOL = /^projects\/([a-z0-9-]{1,63})\/locations\/([a-z0-9-]{1,63})\/caPools\/([a-zA-Z0-9_-]{1,63})$/;
const ZONE = new RegExp(`^${LABEL}$`);

/** `NAME` is a regional group of the config's region, `ZONE/NAME` one of a zone of it. */
export type GroupName = {
  readonly kind: "zones" | "regions";
  /** The zone or the region. */
  readonly where: string;
  readonly name: string;
};

/** Null: no group can be called so, or it would be of another region. */
export function groupName(region: string, group: string): GroupName | null {
  const [, zone, name] = GROUP.exec(group) ?? [];
  if (name === undefined) return null;
  if (zone === undefined) return { kind: "regions", where: region, name };
  return new RegExp(`^${region}-[a-z]$`).test(zone) ? { kind: "zones", where: zone, name } : null;
}

/** As a policy writes the group at this path of the API. */
export function groupText(region: string, kind: string, where: string, name: string): string {
  if (kind === "zones") return `${where}/${name}`;
  return where === region ? name : `(of ${where}) ${name}`;
}

export type PoolName = { readonly project: string; readonly location: string; readonly pool: string };

/** Null: it is no CA pool's name, or one of another project or region than the config's. */
export function poolName(
  { project, region }: Pick<GcpConfig, "project" | "region">,
  authority: string,
): PoolName | null {
  const [, of, location, pool] = POOL.exec(authority) ?? [];
  return of === project && location === region && pool !== undefined ? { project, location, pool } : null;
}

/** Whether a managed zone can be called so. */
export function isZoneName(zone: string): boolean {
  return ZONE.test(zone);
}
