import { acmeAuthority, isAcme } from "../../acme.ts";
import type { Policy, Rule } from "../../policy.ts";
import type { Fault } from "../cloud.ts";

/** Resource ids of Azure Resource Manager, for the names that a policy file holds. */
export type AzurePlace = Extract<Policy["place"], { cloud: "azure" }>;

export function subscriptionScope({ subscription }: AzurePlace): string {
  return `/subscriptions/${subscription}`;
}

export function groupScope(place: AzurePlace): string {
  return `${subscriptionScope(place)}/resourceGroups/${place.resource_group}`;
}

export function setScope(place: AzurePlace, name: string): string {
  return `${groupScope(place)}/providers/Microsoft.Compute/virtualMachineScaleSets/${name}`;
}

/** `authority`: VAULT/KEY. One key of one vault is a scope of its own. */
export function keyScope(place: AzurePlace, authority: string): string {
  const [vault = "", key = ""] = authority.split("/");
  return `${groupScope(place)}/providers/Microsoft.KeyVault/vaults/${vault}/keys/${key}`;
}

export function zoneScope(place: AzurePlace, zone: string): string {
  return `${groupScope(place)}/providers/Microsoft.Network/dnsZones/${zone}`;
}

export function recordScope(place: AzurePlace, zone: string, type: string, name: string): string {
  const relative = name === zone ? "@" : name.slice(0, -zone.length - 1);
  return `${zoneScope(place, zone)}/${type}/${relative}`;
}

const SET = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?$/;
const KEY = /^[a-z][a-z0-9-]{1,22}[a-z0-9]\/[A-Za-z0-9-]{1,127}$/;
const ZONE = /^[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))+$/;

function acmeFault(rule: string, authority: string): Fault | null {
  if (ZONE.test(acmeAuthority(authority)?.zone ?? "")) return null;
  const because = `${authority} does not name a zone of Azure's`;
  return {
    rule,
    because,
    hint: "Write acme:NAME/zone/prod-eu-1.example.com: the config's name of it, and the zone's.",
  };
}

/** A name of a rule that is none of Azure's. */
export function nameFault(rule: Rule): Fault | null {
  switch (rule.allow) {
    case "scale":
    case "deploy":
      if (SET.test(rule.group)) return null;
      return { rule: rule.id, because: `${rule.group} is no scale set's name`, hint: "Write its name alone: brokers." };
    case "issue-certificate":
      if (isAcme(rule.authority)) return acmeFault(rule.id, rule.authority);
      if (KEY.test(rule.authority)) return null;
      return {
        rule: rule.id,
        because: `${rule.authority} is not VAULT/KEY`,
        hint: "Write the vault's name and the key's: prod-eu-1-ca/brokers.",
      };
    case "update-dns":
      if (ZONE.test(rule.zone)) return null;
      return { rule: rule.id, because: `${rule.zone} is no zone's name`, hint: "Write it as: prod-eu-1.example.com." };
  }
}

/** Names of an update-dns rule that no zone of that name holds. */
export function outsideZone(rule: Rule): Fault | null {
  if (rule.allow !== "update-dns") return null;
  const names = "below" in rule.names ? [rule.names.below] : rule.names.exactly;
  const out = names.find((name) => name !== rule.zone && !name.endsWith(`.${rule.zone}`));
  if (out === undefined) return null;
  return { rule: rule.id, because: `the zone ${rule.zone} does not hold ${out}`, hint: "Name the zone that holds it." };
}
