import type { Host } from "../../agent/host/host.ts";
import type { LocalConfig } from "../../agent/providerConfig/local.ts";
import type { DnsArgs, DnsType } from "../../policy/asked.ts";
import { byState, failed, stoppedBy, succeeded } from "../outcome.ts";
import {
  type ActionProvider,
  CallFailed,
  type Changed,
  type Errand,
  type Executed,
  type Gate,
  type RecordState,
} from "../provider.ts";
import { answer, diskFailure, place } from "./call.ts";
import { exchange, type ServerConfig } from "./dnsServer.ts";
import {
  BadAnswer,
  CLASS_ANY,
  CLASS_IN,
  CLASS_NONE,
  type DnsRecord,
  decodeValue,
  encodeValue,
  TYPE_ANY,
  TYPES,
} from "./dnsWire.ts";
import { editZone, readZone } from "./zonefile.ts";

/** A record set as it lies in the zone: data byte for byte, in the zone's order. Seconds. */
export type RecordSet = { readonly data: readonly Uint8Array[]; readonly ttl: number };

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;
/** How long the name server may take until it answers with what it accepted. */
const VISIBLE_WITHIN_MS = 60_000;
/** An update that was on its way when we stopped has arrived or never will. */
const IN_FLIGHT_MS = 1000;
const MAX_TTL_SECONDS = 2 ** 31 - 1;

/** One zone's place: a name server, or a file. Both throw CallFailed. */
type Zone = {
  read(gate: Gate, args: DnsArgs, errand: Errand): Promise<RecordSet | null>;
  /** Makes `wanted` true exactly when the zone still holds `before`; else throws CallFailed "concurrent". */
  change(gate: Gate, args: DnsArgs, before: RecordSet | null, wanted: RecordSet | null, errand: Errand): Promise<void>;
};

/** A zone is a name server that takes signed updates (RFC 2136, RFC 8945), or a zone file. */
export function localDns(host: Host, config: LocalConfig): ActionProvider<DnsArgs, RecordState> {
  const configOf = (args: DnsArgs) => (Object.hasOwn(config.zones, args.zone) ? config.zones[args.zone] : undefined);
  const zoneOf = (args: DnsArgs): Zone | null => {
    const zone = configOf(args);
    if (zone === undefined || !(args.name === args.zone || args.name.endsWith(`.${args.zone}`))) return null;
    return "server" in zone ? serverZone(host, zone) : fileZone(host, zone.file);
  };
  return {
    operations: [
      { operation: "dns.query", kind: "read", method: "QUERY" },
      { operation: "dns.update", kind: "change", method: "UPDATE" },
      { operation: "local.zonefile.read", kind: "read", method: "read" },
      { operation: "local.zonefile.write", kind: "change", method: "write" },
    ],
    places(args) {
      const zone = configOf(args);
      if (zone === undefined) return [];
      if ("server" in zone) return [place(zone.server, "QUERY"), place(zone.server, "UPDATE")];
      return [place(zone.file, "read"), place(zone.file, "write")];
    },
    async describe(gate, args, errand) {
      const zone = zoneOf(args);
      if (zone === null) return { missing: `the config has no zone ${args.zone} with the name ${args.name}` };
      try {
        const set = await zone.read(gate, args, errand);
        const record = set === null ? null : shown(args.type, set);
        // What cannot stand in an intent, or be written back, cannot be judged.
        if (record !== null && !fitsEntry(record.values)) return { unreadable: "too-large" };
        if (record !== null) setOf(args.type, record);
        return { state: { record } };
      } catch (error) {
        if (error instanceof RangeError) return { unreadable: "unusual" };
        if (error instanceof CallFailed) return { unreadable: error.status };
        throw error;
      }
    },
    async execute(gate, args, found, errand) {
      const zone = zoneOf(args);
      return zone === null ? failed("missing") : update(host, zone, gate, args, found, errand);
    },
    async reconcile(gate, args, found, errand) {
      const zone = zoneOf(args);
      if (zone === null) return byState(failed("missing"));
      const wanted = wantedOrFault(args);
      // Execution refuses these before it calls anything.
      if (wanted instanceof RangeError) return byState(failed("values", [], wanted.message));
      const before = found.record === null ? null : setOf(args.type, found.record);
      let now = await zone.read(gate, args, errand);
      if (!same(now, wanted) && same(now, before)) {
        await host.clock.sleep(IN_FLIGHT_MS);
        now = await zone.read(gate, args, errand);
      }
      const changed = change(args, before, now);
      if (same(now, wanted)) return byState(succeeded(changed));
      if (same(now, before)) return byState(failed("not-done"));
      // Someone else wrote since: whether ours was there in between cannot be read from it.
      return byState({ ...failed("concurrent", changed), result: "unknown" });
    },
  };
}

function setOf(type: DnsType, record: { readonly values: readonly string[]; readonly ttl: number }): RecordSet {
  return { data: record.values.map((value) => encodeValue(type, value)), ttl: record.ttl };
}

/** Throws RangeError for values that are none of their type. */
function wantedSet(args: DnsArgs): RecordSet | null {
  if (args.change === "delete") return null;
  if (args.ttl > MAX_TTL_SECONDS || args.ttl < 0) throw new RangeError("a TTL has 31 bits (RFC 2181 section 8)");
  const set = setOf(args.type, args);
  if (set.data.length === 0 || (args.type === "CNAME" && set.data.length > 1))
    throw new RangeError("too few or too many values");
  return set;
}

function wantedOrFault(args: DnsArgs): RecordSet | null | RangeError {
  try {
    return wantedSet(args);
  } catch (error) {
    if (error instanceof RangeError) return error;
    throw error;
  }
}

function shown(type: DnsType, set: RecordSet): { values: string[]; ttl: number } {
  return { values: set.data.map((data) => decodeValue(type, data)).sort(), ttl: set.ttl };
}

function keys(set: RecordSet): string {
  return [...new Set(set.data.map((data) => Buffer.from(data).toString("hex")))].sort().join();
}
function same(a: RecordSet | null, b: RecordSet | null): boolean {
  if (a === null || b === null) return a === b;
  return a.ttl === b.ttl && keys(a) === keys(b);
}

/** An intent holds at most 64 values of at most 4096 characters, in a line under 64 KiB. */
function fitsEntry(values: readonly string[]): boolean {
  return (
    values.length <= 64 &&
    values.every((value) => value.length <= 4096) &&
    Buffer.byteLength(JSON.stringify(values)) <= 16 * 1024
  );
}

function change(args: DnsArgs, from: RecordSet | null, to: RecordSet | null): Changed[] {
  if (same(from, to)) return [];
  const text = (set: RecordSet | null) => {
    if (set === null) return null;
    const { values, ttl } = shown(args.type, set);
    return `${values.join(" ")} ttl ${ttl}`.slice(0, 4096).toWellFormed();
  };
  return [{ what: `${args.name} ${args.type}`, from: text(from), to: text(to) }];
}

async function update(
  host: Host,
  zone: Zone,
  gate: Gate,
  args: DnsArgs,
  found: RecordState,
  errand: Errand,
): Promise<Executed> {
  const wanted = wantedOrFault(args);
  if (wanted instanceof RangeError) return failed("values", [], wanted.message);
  if (args.change === "create" && found.record !== null) return failed("exists");
  if (args.change !== "create" && found.record === null) return failed("not-there");
  let before: RecordSet | null;
  try {
    before = await zone.read(gate, args, errand);
  } catch (error) {
    return stoppedBy(error);
  }
  // The policy judged another record set.
  if (!same(before, found.record === null ? null : setOf(args.type, found.record))) return failed("concurrent");
  let doubt: Executed | null = null;
  try {
    await zone.change(gate, args, before, wanted, errand);
  } catch (error) {
    doubt = stoppedBy(error);
    if (doubt.result === "failed") return doubt;
  }
  return awaitTruth(host, zone, gate, args, before, wanted, doubt, errand);
}

/** Asks until the zone answers with what was wanted. `doubt`: what became of the update when its answer did not say. */
async function awaitTruth(
  host: Host,
  zone: Zone,
  gate: Gate,
  args: DnsArgs,
  before: RecordSet | null,
  wanted: RecordSet | null,
  doubt: Executed | null,
  errand: Errand,
): Promise<Executed> {
  const until = host.clock.monotonic() + (doubt === null ? VISIBLE_WITHIN_MS : IN_FLIGHT_MS);
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, MAX_PAUSE_MS)) {
    let now: RecordSet | null = before;
    let unread: Executed | null = null;
    try {
      now = await zone.read(gate, args, errand);
      if (same(now, wanted)) return succeeded(change(args, before, now));
    } catch (error) {
      unread = stoppedBy(error);
    }
    const late = host.clock.monotonic() > until;
    if (late || errand.signal.aborted) {
      const why = doubt ?? unread ?? { code: late ? "not-true" : "deadline", words: null };
      // Unheard or unseen, it may be true; read and not true although the server accepted it, it is not.
      const result = doubt !== null || unread !== null ? "unknown" : "failed";
      return {
        ...failed(why.code ?? "not-true", unread === null ? change(args, before, now) : [], why.words),
        result,
      };
    }
    await host.clock.sleep(pause);
  }
}

function serverZone(host: Host, config: ServerConfig): Zone {
  return {
    read: (gate, args, errand) =>
      gate.call("dns.query", `${args.zone}/${args.name}`, async (leave) => {
        const type = TYPES[args.type];
        const what = { update: false, question: { name: args.name, type }, prerequisites: [], changes: [] };
        try {
          const got = await exchange(host, config, what, leave, errand);
          if (got.rcode !== "NOERROR" && got.rcode !== "NXDOMAIN")
            throw new CallFailed(`dns-${got.rcode.toLowerCase()}`, `the name server answered ${got.rcode}`, "none");
          if (!got.authoritative)
            throw new CallFailed("dns-not-authoritative", "the name server is not the zone's", "none");
          return answer(ownSet(args, got.answers));
        } catch (error) {
          if (error instanceof BadAnswer) throw new CallFailed(error.code, "a record cannot be read", "none");
          throw diskFailure(error, "none");
        }
      }),
    change: (gate, args, before, wanted, errand) =>
      gate.call("dns.update", `${args.zone}/${args.name}`, async (leave) => {
        const what = {
          update: true,
          question: { name: args.zone, type: TYPES.SOA },
          prerequisites: prerequisites(args, before),
          changes: changes(args, wanted),
        };
        try {
          const { rcode } = await exchange(host, config, what, leave, errand);
          if (rcode === "NOERROR") return answer(undefined);
          const concurrent = ["NXRRSET", "YXRRSET", "NXDOMAIN", "YXDOMAIN"].includes(rcode);
          // A verified refusal: RFC 2136 section 3.8, nothing was changed.
          throw new CallFailed(
            concurrent ? "concurrent" : `dns-${rcode.toLowerCase()}`,
            `the name server answered ${rcode}`,
            "none",
          );
        } catch (error) {
          throw diskFailure(error, "none");
        }
      }),
  };
}

/** The name's own records of the type: what an alias leads to is another name's. */
function ownSet(args: DnsArgs, answers: readonly DnsRecord[]): RecordSet | null {
  const own = answers.filter(
    ({ name, type, class: class_ }) => name === args.name && type === TYPES[args.type] && class_ === CLASS_IN,
  );
  const [first] = own;
  if (first === undefined) return null;
  for (const { data } of own) decodeValue(args.type, data);
  return { data: own.map(({ data }) => data), ttl: first.ttl };
}

const NOTHING = new Uint8Array(0);

/** RFC 2136 section 2.4: exactly the record set that was judged is there, or none; an alias is alone with its name. */
function prerequisites({ name, type }: DnsArgs, before: RecordSet | null): DnsRecord[] {
  const number = TYPES[type];
  if (before !== null) return before.data.map((data) => ({ name, type: number, class: CLASS_IN, ttl: 0, data }));
  const absent = { name, class: CLASS_NONE, ttl: 0, data: NOTHING };
  if (type === "CNAME") return [{ ...absent, type: TYPE_ANY }];
  return [
    { ...absent, type: number },
    { ...absent, type: TYPES.CNAME },
  ];
}

/** RFC 2136 section 2.5: the whole record set goes, then the wanted one is added, in one transaction. */
function changes({ name, type }: DnsArgs, wanted: RecordSet | null): DnsRecord[] {
  const number = TYPES[type];
  const added = wanted?.data.map((data) => ({ name, type: number, class: CLASS_IN, ttl: wanted.ttl, data })) ?? [];
  return [{ name, type: number, class: CLASS_ANY, ttl: 0, data: NOTHING }, ...added];
}

function fileZone(host: Host, path: string): Zone {
  return {
    read: (gate, args) =>
      gate.call("local.zonefile.read", `${args.zone}/${args.name}`, async (leave) => {
        leave(place(path, "read"), "writing");
        try {
          return answer(readZone(host.disk, path, args));
        } catch (error) {
          throw diskFailure(error, "none");
        }
      }),
    change: (gate, args, before, wanted) =>
      gate.call("local.zonefile.write", `${args.zone}/${args.name}`, async (leave) => {
        try {
          leave(place(path, "write"), "writing");
          const edited = editZone(host.disk, path, args, wanted, (now) => {
            if (!same(now, before)) throw new CallFailed("concurrent", "the file was changed meanwhile", "none");
          });
          host.disk.replace(path, edited.bytes, edited.mode);
          return answer(undefined);
        } catch (error) {
          throw diskFailure(error, "none");
        }
      }),
  };
}
