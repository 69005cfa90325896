/** One DNS zone and its record sets, each with an etag. */
import { randomUUID } from "node:crypto";
import { type Answer, type Made, Refused } from "./made.ts";

export type RecordSet = {
  readonly etag: string;
  readonly properties: Readonly<Record<string, unknown>>;
};

export function zone(options: {
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly name: string;
}) {
  const root = `/subscriptions/${options.subscription}/resourceGroups/${options.resourceGroup}/providers/Microsoft.Network/dnszones/${options.name}`;
  const sets = new Map<string, RecordSet>();
  const switches = { staleReads: 0, absent: false };
  let stale: { left: number; readonly key: string; readonly set: RecordSet | null } | null = null;
  const keyOf = (type: string, name: string): string => `${type.toUpperCase()} ${name.toLowerCase()}`;
  const held = (given: string): void => {
    if (switches.absent || given.toLowerCase() !== options.name)
      throw new Refused(404, "ResourceNotFound", `The Resource 'Microsoft.Network/dnszones/${given}' was not found.`);
  };
  const shown = (type: string, name: string, { etag, properties }: RecordSet) => ({
    id: `${root}/${type.toUpperCase()}/${name}`,
    name,
    type: `Microsoft.Network/dnszones/${type.toUpperCase()}`,
    etag,
    properties: { fqdn: `${name}.${options.name}.`, provisioningState: "Succeeded", ...properties },
  });
  /** RFC 9110 section 13.1: the conditions, as Azure DNS takes them. */
  const conditions = (made: Made, now: RecordSet | undefined): void => {
    const [match, none] = [made.headers["if-match"], made.headers["if-none-match"]];
    const failed = (header: string, given: string): Refused =>
      new Refused(
        412,
        "PreconditionFailed",
        `The condition '${given}' in the ${header} header was not satisfied. The current was '${now?.etag ?? ""}'.`,
      );
    if (none === "*" && now !== undefined) throw failed("If-None-Match", none);
    if (match !== undefined && match !== now?.etag && !(match === "*" && now !== undefined))
      throw failed("If-Match", match);
  };
  const write = (key: string, set: RecordSet | null): void => {
    stale = switches.staleReads === 0 ? null : { left: switches.staleReads, key, set: sets.get(key) ?? null };
    if (set === null) sets.delete(key);
    else sets.set(key, set);
  };
  return {
    switches,
    sets,
    zone(given: string): Answer {
      held(given);
      return {
        status: 200,
        body: {
          ...{ id: root, name: options.name, type: "Microsoft.Network/dnszones", location: "global", etag: "zone-1" },
          properties: {
            numberOfRecordSets: sets.size + 2,
            maxNumberOfRecordSets: 10_000,
            nameServers: ["ns1-01.azure-dns.com."],
            zoneType: "Public",
          },
        },
      };
    },
    get(given: string, type: string, name: string): Answer {
      held(given);
      const key = keyOf(type, name);
      const old = stale !== null && stale.key === key && stale.left-- > 0 ? stale : null;
      const found = old === null ? sets.get(key) : old.set;
      if (found === undefined || found === null)
        throw new Refused(
          404,
          "NotFound",
          `The resource record '${name}' does not exist in resource group '${options.resourceGroup}'.`,
        );
      return { status: 200, body: shown(type, name, found) };
    },
    put(given: string, type: string, name: string, made: Made): Answer {
      held(given);
      const key = keyOf(type, name);
      const before = sets.get(key);
      conditions(made, before);
      const { properties = {} } = made.body as { properties?: RecordSet["properties"] };
      if (
        type.toUpperCase() === "CNAME" &&
        [...sets.keys()].some((other) => other !== key && other.endsWith(` ${name.toLowerCase()}`))
      )
        throw new Refused(400, "BadRequest", "A CNAME record set cannot lie beside others of the same name.");
      const after = { etag: randomUUID(), properties };
      write(key, after);
      made.changed = true;
      return { status: before === undefined ? 201 : 200, body: shown(type, name, after) };
    },
    remove(given: string, type: string, name: string, made: Made): Answer {
      held(given);
      const key = keyOf(type, name);
      const before = sets.get(key);
      if (before === undefined && made.headers["if-match"] === undefined) return { status: 204 };
      conditions(made, before);
      write(key, null);
      made.changed = true;
      return { status: 200 };
    },
    /** Someone else puts or takes one. */
    others(type: string, name: string, properties: RecordSet["properties"] | null): void {
      if (properties === null) sets.delete(keyOf(type, name));
      else sets.set(keyOf(type, name), { etag: randomUUID(), properties });
    },
    look: (type: string, name: string): RecordSet["properties"] | null =>
      sets.get(keyOf(type, name))?.properties ?? null,
  };
}
export type Zone = ReturnType<typeof zone>;
