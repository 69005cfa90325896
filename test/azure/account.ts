import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dialer } from "../../agent/host/dial.ts";
import type { Host } from "../../agent/host/host.ts";
import { realHost } from "../../agent/host/real.ts";
import { AzureConfig } from "../../agent/providerConfig/azure.ts";
import { azureProvider } from "../../providers/azure/azure.ts";
import type { Setting } from "../../providers/provider.ts";
import { hastyHost } from "../aws/fixture.ts";
import type { Made } from "./world/made.ts";
import { GROUP, LOCATION, SUBSCRIPTION, TENANT, type World } from "./world/world.ts";

/** The real host whose waits are short, and whose time is the real one: for what is waited out, however slow this machine is. */
export function patientHost(): Host {
  const real = realHost();
  return {
    ...real,
    clock: { ...real.clock, sleep: (milliseconds, signal) => real.clock.sleep(milliseconds / 100, signal) },
  };
}

export function settingOf(more: Partial<Setting> = {}): Setting {
  return {
    host: hastyHost(100),
    version: "9.9.9",
    owner: { directory: "/etc/reeve/owner", uid: 0 },
    dial: dialer({ proxy: null, direct: new Set() }),
    ...more,
  };
}

export function configFor(world: World, chain: string, more: Record<string, unknown> = {}): AzureConfig {
  return AzureConfig.parse({
    ...{ environment: "public", tenant: TENANT, subscription: SUBSCRIPTION, resource_group: GROUP, location: LOCATION },
    ...{ principal: world.identity.principal, identity: "system" },
    authorities: { [world.vault.authority]: { version: world.vault.version, chain } },
    endpoints: { arm: world.url, vault: world.url, metadata: world.url },
    ...more,
  });
}

/** The provider as the agent makes it, for the world; its waits pass a hundred times faster. `end` takes its folder away. */
export async function account(world: World, more: Record<string, unknown> = {}, setting: Partial<Setting> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "reeve-azure-"));
  const chain = join(folder, "ca.pem");
  writeFileSync(chain, world.vault.certificate);
  const config = configFor(world, chain, more);
  const provider = await azureProvider(settingOf(setting), config, join(folder, "state"));
  return { provider, config, folder, chain, end: () => rmSync(folder, { recursive: true, force: true }) };
}

/** The calls that came of one action, oldest first. */
export function came(world: World, action: string): readonly Made[] {
  return world.calls.filter((made) => made.action === action);
}
