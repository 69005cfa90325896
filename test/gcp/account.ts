import { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import { gcpProvider } from "../../providers/gcp/gcp.ts";
import { hastyHost, SETTING } from "../aws/fixture.ts";
import type { World } from "./world/world.ts";

export function configOf({ project, account, region, endpoints }: World): GcpConfig {
  return GcpConfig.parse({ project, account, region, endpoints: { ...endpoints } });
}

/** The provider as the agent makes it, for a project of the world; its waits pass a hundred times faster. */
export function providerFor(world: World, times = 100) {
  return gcpProvider({ ...SETTING, host: hastyHost(times) }, configOf(world));
}

/** As a policy and a command name the world's group and zone. */
export function groupOf({ group }: Pick<World, "group">): string {
  const [, kind, where, name] = /\/(zones|regions)\/([^/]+)\/instanceGroupManagers\/([^/]+)$/.exec(group) ?? [];
  return kind === "zones" ? `${where}/${name}` : (name ?? "");
}
export function zoneOf({ zone }: Pick<World, "zone">): string {
  return zone.split("/").at(-1) ?? "";
}

/** The calls that came of one operation, oldest first. */
export function came(world: World, operation: string) {
  return world.calls.filter((made) => made.operation === operation);
}
