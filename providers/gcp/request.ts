import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import { groupText } from "./names.ts";
import type { Service } from "./operations.ts";

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
  /^\/compute\/v1\/projects\/([^/]+)\/(zones|regions)\/([^/]+)\/(instanceGroupManagers|autoscalers|operations)(?:\/([^/]+)(?:\/([^/]+))?)?$/;

const compute: Reader = ({ path, url, method }, { gcp, resource, known, command }) => {
  const [, project, kind = "", where = "", what = "", name, verb] = COMPUTE.exec(path) ?? [];
  if (project !== gcp.project) return null;
  const regional = kind === "regions";
  const owned = known.has(`${kind}/${where}/${what}/${name}`) ? resource : `(another) ${kind}/${where}/${what}/${name}`;
  const of = (word: string, call: string, about: string): Read => ({
    operation: `compute.${regional ? `region${word.slice(0, 1).toUpperCase()}${word.slice(1)}` : word}.${call}`,
    resource: about,
    region: where,
  });
  const operations = (call: string, about: string): Read => ({
    operation: `compute.${regional ? "region" : "zone"}Operations.${call}`,
    resource: about,
    region: where,
  });
  if (what === "operations" && method === "GET" && verb === undefined) {
    if (name !== undefined) return operations("get", owned);
    const own = url.searchParams.get("filter") === `clientOperationId = "${command}"`;
    return operations("list", own ? resource : "(operations of others)");
  }
  if (name === undefined) return null;
  if (what === "autoscalers") return method === "GET" && verb === undefined ? of(what, "get", owned) : null;
  const group = groupText(gcp.region, kind, where, name);
  if (verb === undefined) return method === "GET" ? of(what, "get", group) : null;
  if (verb === "listManagedInstances") return of(what, verb, group);
  // Without the command's own token it would be a change of its own each time.
  if (verb === "resize")
    return of(what, verb, url.searchParams.get("requestId") === command ? group : "(no token of the command's)");
  return null;
};

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
