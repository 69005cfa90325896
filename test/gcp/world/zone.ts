/**
 * Cloud DNS as its documentation describes it: a change holds whole or not at all, deletions must be exactly what lies there, and a change is
 * pending for a while under an id of its own.
 */
import type { Structure } from "./discovery.ts";
import { type Made, ServiceError } from "./made.ts";

export type ZoneSwitches = { syncMilliseconds: number; page: number };
export type RecordSet = {
  readonly kind?: string;
  readonly name: string;
  readonly type: string;
  readonly ttl?: number;
  readonly rrdatas?: readonly string[];
  readonly routingPolicy?: Structure;
};
type Change = { readonly body: Structure; readonly at: number };
type Zone = {
  readonly name: string;
  readonly dnsName: string;
  records: Map<string, RecordSet>;
  readonly changes: Change[];
};

const keyOf = ({ name, type }: Pick<RecordSet, "name" | "type">): string => `${name} ${type}`;
const told = (list: readonly RecordSet[]): readonly Structure[] =>
  list.map((record) => ({ kind: "dns#resourceRecordSet", ...record }) as Structure);
/** Values in any order; everything else as it is. */
function matches(there: RecordSet, asked: RecordSet): boolean {
  const text = ({ ttl, rrdatas, routingPolicy }: RecordSet): string =>
    JSON.stringify([ttl ?? null, [...(rrdatas ?? [])].sort(), routingPolicy ?? null]);
  return text(there) === text(asked);
}

/** What is wrong with a record's values, as Google words it. */
function invalid({ type, rrdatas = [], ttl, routingPolicy }: RecordSet, at: string): ServiceError | null {
  const wrong = (value: string) => new ServiceError(400, "invalid", `Invalid value for '${at}.rrdata[0]': '${value}'`);
  if (routingPolicy !== undefined) return null;
  if (rrdatas.length === 0)
    return new ServiceError(400, "required", `The '${at}.rrdata' parameter is required but was missing.`);
  if (ttl === undefined || ttl < 0) return new ServiceError(400, "invalid", `Invalid value for '${at}.ttl': '${ttl}'`);
  const form = { A: /^\d+\.\d+\.\d+\.\d+$/, AAAA: /^[0-9a-f:.]+$/, CNAME: /^[^\s]+\.$/, TXT: /^"/ }[type];
  const bad = rrdatas.find((value) => form !== undefined && !form.test(value));
  return bad === undefined ? null : wrong(bad);
}

export function zones(project: string, switches: ZoneSwitches) {
  const all = new Map<string, Zone>();
  const zoneAt = ({ parts }: Made): Zone => {
    const found = parts["project"] === project ? all.get(parts["managedZone"] ?? "") : undefined;
    if (found === undefined)
      throw new ServiceError(
        404,
        "notFound",
        `The 'parameters.managedZone' resource named '${parts["managedZone"]}' does not exist.`,
      );
    return found;
  };
  const show = ({ body, at }: Change): Structure => ({
    ...body,
    status: at + switches.syncMilliseconds <= Date.now() ? "done" : "pending",
  });
  const apply = (zone: Zone, additions: readonly RecordSet[], deletions: readonly RecordSet[]): void => {
    const records = new Map(zone.records);
    deletions.forEach((record, index) => {
      const there = records.get(keyOf(record));
      const at = `entity.change.deletions[${index}]`;
      if (there === undefined)
        throw new ServiceError(
          404,
          "notFound",
          `The '${at}' resource named '${record.name} (${record.type})' does not exist.`,
        );
      if (!matches(there, record)) throw new ServiceError(412, "conditionNotMet", `Precondition not met for '${at}'`);
      records.delete(keyOf(record));
    });
    additions.forEach((record, index) => {
      const at = `entity.change.additions[${index}]`;
      if (!record.name.endsWith(".") || !(record.name === zone.dnsName || record.name.endsWith(`.${zone.dnsName}`)))
        throw new ServiceError(400, "invalid", `Invalid value for '${at}.name': '${record.name}'`);
      const wrong = invalid(record, at);
      if (wrong !== null) throw wrong;
      if (records.has(keyOf(record)))
        throw new ServiceError(
          409,
          "alreadyExists",
          `The resource '${at}' named '${record.name} (${record.type})' already exists`,
        );
      const others = [...records.values()].filter(({ name }) => name === record.name);
      if (others.some(({ type }) => (type === "CNAME") !== (record.type === "CNAME")))
        throw new ServiceError(
          400,
          "cnameResourceRecordSetConflict",
          `The resource record set '${at}' is invalid because of a CNAME`,
        );
      records.set(keyOf(record), record);
    });
    zone.records = records;
  };

  const create = (made: Made): Structure => {
    const zone = zoneAt(made);
    const lists = ["additions", "deletions"].map((name) => (made.body[name] ?? []) as unknown as readonly RecordSet[]);
    const [additions = [], deletions = []] = lists;
    if (additions.length + deletions.length === 0)
      throw new ServiceError(400, "required", "The 'entity.change' parameter is required but was missing.");
    apply(zone, additions, deletions);
    made.changed = true;
    const at = Date.now();
    const body: Structure = {
      kind: "dns#change",
      id: String(zone.changes.length + 1),
      startTime: new Date(at).toISOString(),
      ...(additions.length === 0 ? {} : { additions: told(additions) }),
      ...(deletions.length === 0 ? {} : { deletions: told(deletions) }),
    };
    zone.changes.push({ body, at });
    return show({ body, at });
  };
  const list = (made: Made): Structure => {
    const { query } = made;
    if (query["type"] !== undefined && query["name"] === undefined)
      throw new ServiceError(400, "invalid", "The 'parameters.type' parameter needs a name");
    const found = [...zoneAt(made).records.values()].filter(
      ({ name, type }) => (query["name"] ?? name) === name && (query["type"] ?? type) === type,
    );
    const from = Number(query["pageToken"] ?? 0);
    const size = Math.min(Number(query["maxResults"] ?? 100), switches.page);
    const next = from + size < found.length ? { nextPageToken: String(from + size) } : {};
    return { kind: "dns#resourceRecordSetsListResponse", rrsets: told(found.slice(from, from + size)), ...next };
  };

  return {
    answer(made: Made): Structure {
      switch (made.operation) {
        case "dns.managedZones.get": {
          const { name, dnsName } = zoneAt(made);
          return {
            kind: "dns#managedZone",
            id: "1234567890123456789",
            name,
            dnsName,
            description: "",
            visibility: "public",
          };
        }
        case "dns.resourceRecordSets.list":
          return list(made);
        case "dns.changes.create":
          return create(made);
        case "dns.changes.get": {
          const found = zoneAt(made).changes.find(({ body }) => body["id"] === made.parts["changeId"]);
          if (found === undefined)
            throw new ServiceError(
              404,
              "notFound",
              `The 'parameters.changeId' resource named '${made.parts["changeId"]}' does not exist.`,
            );
          return show(found);
        }
        default:
          throw new ServiceError(501, "notImplemented", `the world does not do ${made.operation}`);
      }
    },
    make(name: string, dnsName: string): string {
      all.set(name, { name, dnsName: `${dnsName}.`, records: new Map(), changes: [] });
      return `projects/${project}/managedZones/${name}`;
    },
    /** What lies there, by someone else's hand: null takes it away. */
    put(zone: string, name: string, type: string, record: Omit<RecordSet, "name" | "type"> | null): void {
      const found = all.get(zone.split("/").at(-1) ?? "");
      if (found === undefined) throw new Error(`no zone ${zone}`);
      const named = { name: `${name}.`, type };
      found.records.delete(keyOf(named));
      if (record !== null) found.records.set(keyOf(named), { ...record, ...named });
    },
    look(zone: string, name: string, type: string): RecordSet | null {
      return all.get(zone.split("/").at(-1) ?? "")?.records.get(keyOf({ name: `${name}.`, type })) ?? null;
    },
    /** Whether the zone is there: doctor's question of rights is about it. */
    has: (zone: string): boolean => all.has(zone.split("/").at(-1) ?? ""),
  };
}
export type Zones = ReturnType<typeof zones>;
