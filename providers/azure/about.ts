import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import { imageKind, imageText } from "./imageName.ts";

/** What the command is about, for requests that name only a part of it. */
export type About = {
  /** As the gate compares it: a scale set; VAULT/KEY; `ZONE/NAME`. */
  readonly resource: string;
  /** Paths of the operations that this command's own change was answered with. */
  readonly operations: ReadonlySet<string>;
  /** The vault that the call goes to; null: Resource Manager. */
  readonly vault: string | null;
  /** What a deploy may touch; null: the command is none. */
  readonly deploy: DeployAbout | null;
  /** The count that a scale was judged for; null: the command is none. */
  readonly count: number | null;
};
/** `images`: as `imageText` writes them: the judged one, and the one to go back to. `machines`: of the set; `most`: how many at once. */
export type DeployAbout = {
  readonly image: string;
  readonly images: ReadonlySet<string>;
  readonly machines: ReadonlySet<string>;
  readonly most: number;
};
export type Named = { readonly operation: string; readonly resource: string };

const COMPUTE = "Microsoft.Compute/virtualMachineScaleSets";
const ZONES = "Microsoft.Network/dnsZones";
const VERBS: Readonly<Record<string, string>> = { GET: "read", PUT: "write", PATCH: "write", DELETE: "delete" };

/**
 * What a request that is about to leave asks for, and of what: read out of the request itself, as Azure will read it. Never the command's
 * resource unless the whole request is about it: what is not understood names itself, and so does not pass.
 */
export function namedBy(azure: AzureConfig, method: string, path: string, body: unknown, about: About): Named {
  const verb = VERBS[method] ?? method;
  if (about.vault !== null) return ofKey(azure, about.vault, method, path);
  const group = `/subscriptions/${azure.subscription}/resourceGroups/${azure.resource_group}/providers/`;
  const status = `/subscriptions/${azure.subscription}/providers/Microsoft.Compute/locations/`;
  if (path.startsWith(status)) {
    const resource = about.operations.has(path) ? about.resource : `(operation) ${path}`;
    return { operation: `Microsoft.Compute/locations/operations/${verb}`, resource };
  }
  const image = verb === "read" ? ofImage(path, about) : null;
  if (image !== null) return image;
  const parts = path.startsWith(group) ? path.slice(group.length).split("/") : [];
  const [provider = "", kind = "", name = "", type = "", relative = "", ...more] = parts;
  const known = `${provider}/${kind}`.toLowerCase();
  if (known === COMPUTE.toLowerCase() && relative === "") return ofSet(verb, name, type, body, about);
  if (known !== ZONES.toLowerCase() || more.length > 0) return { operation: `${method} ${path}`, resource: path };
  if (type === "") return { operation: `${ZONES}/${verb}`, resource: ofZone(name, about.resource) };
  const record = relative === "@" ? name : `${relative}.${name}`;
  const plain = method === "PUT" && !isPlain(type, body) ? " (more than its values)" : "";
  return { operation: `${ZONES}/${type}/${verb}`, resource: `${name}/${record}${plain}` };
}

/** Wherever it lies: the one that was judged. Null: the path is no image's. */
function ofImage(path: string, { deploy, resource }: About): Named | null {
  const kind = imageKind(path);
  if (deploy === null || kind === null) return null;
  const operation = kind === "images" ? "images/read" : "galleries/images/versions/read";
  const own = path.toLowerCase() === deploy.image.toLowerCase();
  return { operation: `Microsoft.Compute/${operation}`, resource: own ? resource : `(another image) ${path}` };
}

function ofSet(verb: string, name: string, part: string, body: unknown, { deploy, count }: About): Named {
  if (part === "manualupgrade" && verb === "POST") {
    const within = deploy !== null && isPart(body, deploy) ? name : `${name} (more than a step)`;
    return { operation: `${COMPUTE}/manualupgrade/action`, resource: within };
  }
  if (part === "virtualMachines") return { operation: `${COMPUTE}/virtualMachines/${verb}`, resource: name };
  const operation = part === "" ? `${COMPUTE}/${verb}` : `${COMPUTE}/${part}/${verb}`;
  // The right to write a scale set is one to change all of it: only the judged capacity may travel, of a deploy only a known image.
  const wider = verb === "write" && !(deploy === null ? isCapacity(body, count) : isImage(body, deploy));
  const more = deploy === null ? "the judged capacity" : "its image";
  return { operation, resource: wider ? `${name} (more than ${more})` : name };
}

function ofZone(zone: string, resource: string): string {
  return resource.startsWith(`${zone}/`) ? resource : zone;
}

/** The one version of a key that the config names. */
function ofKey(azure: AzureConfig, vault: string, method: string, path: string): Named {
  const [, key = "", version = "", verb = ""] = /^\/keys\/([^/]+)\/([^/]*)(?:\/([^/]+))?$/.exec(path) ?? [];
  const right = verb === "" ? VERBS[method] : `${verb}/action`;
  const authority = `${vault}/${key}`;
  const named = Object.hasOwn(azure.authorities, authority) ? azure.authorities[authority]?.version : undefined;
  const resource = named === version ? authority : `(another version) ${authority}/${version}`;
  return { operation: `Microsoft.KeyVault/vaults/keys/${right ?? method}`, resource };
}

type Json = Readonly<Record<string, unknown>>;
function onlyFields(value: unknown, names: readonly string[]): Json | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  return Object.keys(value).every((name) => names.includes(name)) ? (value as Json) : null;
}

function isImage(body: unknown, { images }: DeployAbout): boolean {
  const model = onlyFields(onlyFields(body, ["properties"])?.["properties"], ["virtualMachineProfile"]);
  const storage = onlyFields(model?.["virtualMachineProfile"], ["storageProfile"])?.["storageProfile"];
  const text = imageText(onlyFields(storage, ["imageReference"])?.["imageReference"]);
  return text !== null && images.has(text);
}

/** No more machines than may be out of service, all of this set. */
function isPart(body: unknown, { machines, most }: DeployAbout): boolean {
  const ids = onlyFields(body, ["instanceIds"])?.["instanceIds"];
  return Array.isArray(ids) && ids.length > 0 && ids.length <= most && ids.every((id) => machines.has(String(id)));
}

function isCapacity(body: unknown, count: number | null): boolean {
  return count !== null && onlyFields(onlyFields(body, ["sku"])?.["sku"], ["capacity"])?.["capacity"] === count;
}

const VALUES: Readonly<Record<string, string>> = {
  A: "ARecords",
  AAAA: "AAAARecords",
  CNAME: "CNAMERecord",
  TXT: "TXTRecords",
};

/** A TTL and values of the type that the path names; what labels there were beside them stay. */
function isPlain(type: string, body: unknown): boolean {
  const values = VALUES[type] ?? "";
  const properties = onlyFields(onlyFields(body, ["properties"])?.["properties"], ["TTL", "metadata", values]);
  return properties !== null && properties["TTL"] !== undefined && properties[values] !== undefined;
}
