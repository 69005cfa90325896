import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import { groupText } from "./names.ts";
import type { Service } from "./operations.ts";
import { imageIn, type Json, templatePath, unlike } from "./template.ts";
import { ownTemplate, STEPS, stepId } from "./tokens.ts";

/** A request as it is about to leave, whoever made it. */
export type Leaving = {
  readonly service: Service;
  readonly method: string;
  /** Path and query. */
  readonly url: URL;
  readonly body: Uint8Array | null;
};
/** What the command is about, for requests that name only a part of it. */
export type About = {
  readonly gcp: Pick<GcpConfig, "project" | "region">;
  readonly command: string;
  /** As the gate compares it: a group; a CA pool; `ZONE/NAME`. */
  readonly resource: string;
  /** What this command's own calls were answered with: paths below the project of operations and autoscalers, ids of changes. */
  readonly known: ReadonlySet<string>;
  /** The image that a deploy was judged for, `projects/P/global/images/NAME`; null: the command is none. */
  readonly image: string | null;
  /** The count that a scale was judged for; null: the command is none. */
  readonly count: number | null;
};
/** What a request really asks: the gate compares this, not what we meant. `region`: a region, a zone, or `global`. */
export type Read = { readonly operation: string; readonly resource: string; readonly region: string };

/** Never the command's resource unless the whole request is about it: what is not understood names itself and so does not pass. */
export function readRequest(leaving: Leaving, about: About): Read {
  const path = decoded(leaving.url.pathname);
  const read = path === null ? null : READERS[leaving.service]({ ...leaving, path }, about);
  return (
    read ?? { operation: `(not known) ${leaving.method} ${leaving.url.pathname}`, resource: "(none)", region: "(none)" }
  );
}

type Taken = Leaving & { readonly path: string };
type Reader = (leaving: Taken, about: About) => Read | null;

/** Each part of the path must stand for itself: a slash that was escaped would be another path at Google's end. */
function decoded(pathname: string): string | null {
  return /%(?!20|3A|40)/i.test(pathname) ? null : pathname.replace(/%3A/gi, ":").replace(/%40/g, "@");
}

const COMPUTE =
  /^\/compute\/v1\/(projects\/([^/]+)\/(?:(zones|regions)\/([^/]+)|(global))\/(instanceGroupManagers|autoscalers|operations|instanceTemplates|images)(?:\/([^/]+))?)(?:\/([^/]+))?$/;

const PREFIX: Readonly<Record<string, string>> = { zones: "zone", regions: "region", global: "global" };

const compute: Reader = (leaving, about) => {
  const [, whole = "", project, kind = "global", where = "global", , what = "", name, verb] =
    COMPUTE.exec(leaving.path) ?? [];
  const { gcp, resource, known } = about;
  const { method } = leaving;
  // Of another project there is nothing to be asked but an image that a manifest names.
  if (what === "images")
    return method === "GET" && name !== undefined && verb === undefined && kind === "global"
      ? { operation: "compute.images.get", resource: whole === about.image ? resource : whole, region: where }
      : null;
  if (project !== gcp.project) return null;
  const regional = kind === "regions";
  const of = (word: string, call: string, about: string): Read => ({
    operation: `compute.${regional ? `region${word.slice(0, 1).toUpperCase()}${word.slice(1)}` : word}.${call}`,
    resource: about,
    region: where,
  });
  if (what === "operations") return ofOperation({ kind, where, name, verb, leaving }, about);
  if (what === "instanceTemplates") {
    if (verb !== undefined || kind === "zones") return null;
    if (name !== undefined) return method === "GET" ? of(what, "get", known.has(whole) ? resource : whole) : null;
    return method === "POST"
      ? of(what, "insert", isOwnCopy(leaving, about) ? resource : "(no copy of the group's)")
      : null;
  }
  if (name === undefined || kind === "global") return null;
  const owned = known.has(`${kind}/${where}/${what}/${name}`) ? resource : `(another) ${kind}/${where}/${what}/${name}`;
  if (what === "autoscalers") return method === "GET" && verb === undefined ? of(what, "get", owned) : null;
  const group = groupText(gcp.region, kind, where, name);
  if (verb === undefined && method === "PATCH")
    return of(what, "patch", isOwnPatch(leaving, about) ? group : `${group} (more than its template)`);
  if (verb === undefined) return method === "GET" ? of(what, "get", group) : null;
  if (verb === "listManagedInstances") return of(what, verb, group);
  if (verb === "resize") return of(what, verb, sizeOf(leaving, about, group));
  return null;
};

type OfOperation = {
  readonly kind: string;
  readonly where: string;
  readonly name: string | undefined;
  readonly verb: string | undefined;
  readonly leaving: Taken;
};
/** One that this command's own call began, or those that its own tokens began. */
function ofOperation({ kind, where, name, verb, leaving }: OfOperation, { resource, known, command }: About) {
  if (leaving.method !== "GET" || verb !== undefined) return null;
  const operations = (call: string, about: string): Read => ({
    operation: `compute.${PREFIX[kind]}Operations.${call}`,
    resource: about,
    region: where,
  });
  const path = `${kind}/${where}/operations/${name}`;
  if (name !== undefined) return operations("get", known.has(path) ? resource : `(another) ${path}`);
  const filter = leaving.url.searchParams.get("filter");
  const own = tokensOf(command).some((token) => filter === `clientOperationId = "${token}"`);
  return operations("list", own ? resource : "(operations of others)");
}

function tokensOf(command: string): readonly string[] {
  return [command, ...STEPS.map((step) => stepId(command, step))];
}
function hasToken({ url }: Leaving, tokens: readonly string[]): boolean {
  return tokens.includes(url.searchParams.get("requestId") ?? "");
}

/** To the judged count; and without the command's own token it would be a change of its own each time. */
function sizeOf(leaving: Taken, { command, count }: About, group: string): string {
  if (!hasToken(leaving, [command])) return "(no token of the command's)";
  const [size, ...more] = leaving.url.searchParams.getAll("size");
  return count !== null && size === String(count) && more.length === 0 ? group : `${group} (to another count)`;
}

function fieldsOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}
function bodyOf({ body }: Leaving): Json {
  return body === null ? {} : fieldsOf(JSON.parse(new TextDecoder().decode(body)));
}

/** A template of the command's own name, that is the group's own but for the image, and that image the judged one. */
function isOwnCopy(leaving: Taken, { command, known, image }: About): boolean {
  const { name, description: _, properties, ...more } = bodyOf(leaving);
  const given = fieldsOf(properties);
  return (
    Object.keys(more).length === 0 &&
    name === ownTemplate(command) &&
    image !== null &&
    imageIn(given) === image &&
    known.has(unlike(given)) &&
    hasToken(leaving, [stepId(command, "template")])
  );
}

/** To one template that is known, and how it is to be updated; nothing else of the group. */
function isOwnPatch(leaving: Taken, { command, known }: About): boolean {
  const { fingerprint: _, versions = [], updatePolicy: __, ...more } = bodyOf(leaving);
  const all = Array.isArray(versions) ? versions.map(fieldsOf) : [{}];
  return (
    Object.keys(more).length === 0 &&
    all.length <= 1 &&
    all.every(({ instanceTemplate: template, ...others }) => {
      const path = typeof template === "string" ? templatePath(template) : null;
      return Object.keys(others).length === 0 && path !== null && known.has(path);
    }) &&
    hasToken(leaving, [stepId(command, "there"), stepId(command, "back"), stepId(command, "policy")])
  );
}

const POOL =
  /^\/v1\/(projects\/([^/]+)\/locations\/([^/]+)\/caPools\/[^/:]+)(?:(:fetchCaCerts)|\/certificates(?:\/([^/:]+))?)$/;

const privateca: Reader = ({ path, url, method }, { command }) => {
  const [, pool = "", , location = "", fetch, certificate] = POOL.exec(path) ?? [];
  if (pool === "") return null;
  const of = (call: string, about: string): Read => ({
    operation: `privateca.${call}`,
    resource: about,
    region: location,
  });
  if (fetch !== undefined) return of("caPools.fetchCaCerts", pool);
  const own = certificate === command ? pool : `(another certificate) ${certificate}`;
  if (certificate !== undefined) return method === "GET" ? of("certificates.get", own) : null;
  const named = url.searchParams.get("certificateId") === command && url.searchParams.get("requestId") === command;
  return method === "POST" ? of("certificates.create", named ? pool : "(no id of the command's)") : null;
};

const DNS = /^\/dns\/v1\/projects\/([^/]+)\/managedZones\/([^/]+)(?:\/(rrsets|changes)(?:\/([^/]+))?)?$/;

const dns: Reader = ({ path, url, method, body }, { gcp, resource, known }) => {
  const [, project, zone = "", what, id] = DNS.exec(path) ?? [];
  if (project !== gcp.project) return null;
  const of = (call: string, about: string): Read => ({ operation: `dns.${call}`, resource: about, region: "global" });
  if (what === undefined)
    return method === "GET" ? of("managedZones.get", resource.startsWith(`${zone}/`) ? resource : zone) : null;
  if (what === "rrsets") {
    const name = url.searchParams.get("name") ?? "(every name)";
    return id === undefined && method === "GET"
      ? of("resourceRecordSets.list", `${zone}/${name.replace(/\.$/, "")}`)
      : null;
  }
  if (id !== undefined)
    return method === "GET"
      ? of("changes.get", known.has(`${zone}/changes/${id}`) ? resource : `(another change) ${id}`)
      : null;
  return method === "POST" ? of("changes.create", `${zone}/${onlyName(body)}`) : null;
};

const READERS: Readonly<Record<Service, Reader>> = { compute, privateca, dns };

/** One change, all of one name: deletions and additions of its own record sets. */
function onlyName(body: Uint8Array | null): string {
  const change: unknown = JSON.parse(new TextDecoder().decode(body ?? new Uint8Array()));
  if (typeof change !== "object" || change === null) return "(no change)";
  const { additions = [], deletions = [], ...more } = change as Record<string, unknown>;
  if (!Array.isArray(additions) || !Array.isArray(deletions) || Object.keys(more).length > 0)
    return "(more than records)";
  const names = [...additions, ...deletions].map((record: { name?: unknown }) =>
    typeof record?.name === "string" ? record.name : "(none)",
  );
  const [name, ...others] = new Set(names);
  return name === undefined || others.length > 0 ? "(not one name)" : name.replace(/\.$/, "");
}
