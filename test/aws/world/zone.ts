/**
 * Amazon Route 53 on top of moto, which applies a batch change by change and is always in sync. What is added here, each from AWS's
 * documentation: batches that hold whole or not at all, deletes that must match what is there, changes that are PENDING for a while under an
 * id of their own, pages in the order of reversed labels, names in their escaped form.
 */
import { randomInt } from "node:crypto";
import type { Admin } from "./admin.ts";
import type { Structure, Value } from "./codec.ts";
import { type Made, ServiceError } from "./made.ts";
import type { Behaviour } from "./proxy.ts";
import { compareNames, namedIn, normalName, refusedValue, within } from "./records.ts";

export type ZoneSwitches = {
  /** How long a change is PENDING. */
  syncMilliseconds: number;
  /** Records a page; AWS gives at most 300. */
  page: number;
};

type RecordSet = Structure & { Name: string; Type: string };
type Change = { readonly Action: string; readonly ResourceRecordSet: RecordSet };
const MAX_PAGE = 300;

function identifier(record: Structure): string {
  return String(record["SetIdentifier"] ?? "");
}
function key(record: RecordSet): string {
  return `${namedIn(record.Name)} ${record.Type} ${identifier(record)}`;
}
function valuesOf(record: Structure): readonly string[] {
  const records = record["ResourceRecords"];
  return Array.isArray(records) ? (records as readonly Structure[]).map((one) => String(one["Value"])) : [];
}
/** Whether a DELETE names exactly the record that is there: values in any order, everything else as it is. */
function matches(there: RecordSet, asked: RecordSet): boolean {
  const rest = ({ Name: _, ResourceRecords: __, ...others }: Structure) =>
    JSON.stringify(
      Object.entries(others)
        .filter(([, value]) => value !== undefined)
        .sort(),
    );
  const values = (record: Structure) => [...valuesOf(record)].sort().join("\n");
  return rest(there) === rest(asked) && values(there) === values(asked);
}
function changeId(): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  return `C${Array.from({ length: 19 }, () => letters[randomInt(letters.length)]).join("")}`;
}

/** What is wrong with one change, as AWS words it; null: nothing. `now` holds the records as the changes before it left them. */
function fault(
  { Action, ResourceRecordSet: record }: Change,
  now: ReadonlyMap<string, RecordSet>,
  zone: string,
): string | null {
  const set = `resource record set [name='${namedIn(record.Name)}', type='${record.Type}'${identifier(record) === "" ? "" : `, set identifier='${identifier(record)}'`}]`;
  if (!within(record.Name, zone)) return `RRSet with DNS name ${namedIn(record.Name)} is not permitted in zone ${zone}`;
  const there = now.get(key(record));
  if (Action === "DELETE") {
    if (there === undefined) return `Tried to delete ${set} but it was not found`;
    return matches(there, record)
      ? null
      : `Tried to delete ${set} but the values provided do not match the current values`;
  }
  if (Action === "CREATE" && there !== undefined) return `Tried to create ${set} but it already exists`;
  const values = valuesOf(record);
  if (record["AliasTarget"] === undefined && (values.length === 0 || record["TTL"] === undefined))
    return `Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords]], but found none in Change with ${set}`;
  const wrong = values.map((value) => refusedValue(record.Type, value)).find((found) => found !== null);
  if (wrong !== undefined) return wrong;
  return clash(
    record,
    [...now.values()].filter((one) => namedIn(one.Name) === namedIn(record.Name) && key(one) !== key(record)),
  );
}

/** What cannot stand beside other records of its name. */
function clash(record: RecordSet, others: readonly RecordSet[]): string | null {
  const name = namedIn(record.Name);
  if (others.some(({ Type }) => (Type === "CNAME") !== (record.Type === "CNAME")))
    return `RRSet of type ${record.Type} with DNS name ${name} is not permitted as it conflicts with other records with the same DNS name`;
  const same = others.filter(({ Type }) => Type === record.Type);
  if (same.some((one) => (identifier(one) === "") !== (identifier(record) === "")))
    return `RRSet with DNS name ${name}, type ${record.Type} cannot be created as other RRSets exist with the same name and type`;
  return null;
}

export type Zone = Behaviour & {
  /** `ChangeResourceRecordSets` by someone else. */
  changeByOther(zone: string, changes: readonly Value[]): Promise<void>;
  /** The zone as it is, names escaped, in AWS's order. */
  records(zone: string): Promise<readonly RecordSet[]>;
};

export function zone(admin: Admin, switches: ZoneSwitches): Zone {
  const changes = new Map<string, number>();

  const nameOf = async (id: string): Promise<string> => {
    const found = await admin.call("route53", "GetHostedZone", { Id: id }).catch(() => null);
    if (found === null) throw new ServiceError("NoSuchHostedZone", `No hosted zone found with ID: ${id}`);
    return String((found["HostedZone"] as Structure)["Name"]);
  };
  const records = async (id: string): Promise<readonly RecordSet[]> => {
    const found = await admin.call("route53", "ListResourceRecordSets", { HostedZoneId: id, MaxItems: "1000000" });
    const all = (found["ResourceRecordSets"] ?? []) as readonly RecordSet[];
    const named = all.map((record) => ({ ...record, Name: namedIn(record.Name) }));
    return named.sort(
      (a, b) => compareNames(a.Name, b.Name) || order(a.Type, b.Type) || order(identifier(a), identifier(b)),
    );
  };
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

  const apply = async (id: string, before: ReadonlyMap<string, RecordSet>, after: ReadonlyMap<string, RecordSet>) => {
    const gone = [...before]
      .filter(([name]) => !after.has(name))
      .map(([, record]) => ({ Action: "DELETE", ResourceRecordSet: record }));
    const set = [...after]
      .filter(([name, record]) => before.get(name) !== record)
      .map(([, record]) => ({ Action: "UPSERT", ResourceRecordSet: record }));
    const batch = [...gone, ...set];
    if (batch.length === 0) return;
    await admin.call("route53", "ChangeResourceRecordSets", { HostedZoneId: id, ChangeBatch: { Changes: batch } });
  };

  const change = async (params: Structure): Promise<void> => {
    const id = String(params["HostedZoneId"]);
    const name = await nameOf(id);
    const before = new Map((await records(id)).map((record): [string, RecordSet] => [key(record), record]));
    const after = new Map(before);
    const wrong: string[] = [];
    for (const one of ((params["ChangeBatch"] as Structure)["Changes"] ?? []) as readonly Change[]) {
      const words = fault(one, after, name);
      if (words !== null) wrong.push(words);
      else if (one.Action === "DELETE") after.delete(key(one.ResourceRecordSet));
      else after.set(key(one.ResourceRecordSet), one.ResourceRecordSet);
    }
    if (wrong.length > 0) throw new ServiceError("InvalidChangeBatch", `[${wrong.join(", ")}]`);
    await apply(id, before, after);
  };

  const info = (id: string, submitted: number): Structure => ({
    Id: `/change/${id}`,
    Status: submitted + switches.syncMilliseconds > Date.now() ? "PENDING" : "INSYNC",
    SubmittedAt: new Date(submitted).toISOString(),
  });

  const list = async (params: Structure): Promise<Structure> => {
    const id = String(params["HostedZoneId"]);
    await nameOf(id);
    const [name, type, set] = ["StartRecordName", "StartRecordType", "StartRecordIdentifier"].map(
      (field) => params[field],
    );
    if (type !== undefined && name === undefined)
      throw new ServiceError("InvalidInput", "A start type needs a start name.");
    const all = (await records(id)).filter((record) => {
      if (name === undefined) return true;
      const compared = compareNames(record.Name, namedIn(String(name)));
      if (compared !== 0 || type === undefined) return compared >= 0;
      return record.Type === type ? identifier(record) >= String(set ?? "") : record.Type > String(type);
    });
    const size = Math.min(Number(params["MaxItems"] ?? MAX_PAGE), switches.page, MAX_PAGE);
    const next = all[size];
    return {
      ResourceRecordSets: all.slice(0, size),
      IsTruncated: next !== undefined,
      NextRecordName: next?.Name,
      NextRecordType: next?.Type,
      NextRecordIdentifier: next?.["SetIdentifier"],
      MaxItems: String(size),
    };
  };

  const answer = async (made: Made): Promise<Structure> => {
    const { operation, params } = made;
    if (operation === "ListResourceRecordSets") return list(params);
    if (operation === "GetChange") {
      const id = String(params["Id"]).replace("/change/", "");
      const submitted = changes.get(id);
      if (submitted === undefined) throw new ServiceError("NoSuchChange", `Could not find resource with ID: ${id}`);
      return { ChangeInfo: info(id, submitted) };
    }
    // A zone that is not there is AWS's error, not moto's.
    if (operation === "GetHostedZone") await nameOf(String(params["Id"]));
    if (operation !== "ChangeResourceRecordSets") return admin.call("route53", operation, params);
    await change(params);
    made.changed = true;
    const [id, now] = [changeId(), Date.now()];
    changes.set(id, now);
    return { ChangeInfo: info(id, now) };
  };

  return {
    answer,
    records,
    changeByOther: (id, batch) => change({ HostedZoneId: id, ChangeBatch: { Changes: batch } }),
    async about(operation, params) {
      if (operation === "GetChange") return { resources: [`arn:aws:route53:::change/${params["Id"]}`], context: {} };
      const id = params["HostedZoneId"] ?? params["Id"];
      const resources = [id === undefined ? "*" : `arn:aws:route53:::hostedzone/${id}`];
      if (operation !== "ChangeResourceRecordSets") return { resources, context: {} };
      const batch = ((params["ChangeBatch"] as Structure)["Changes"] ?? []) as readonly Change[];
      const each = (of: (change: Change) => string) => [...new Set(batch.map(of))];
      return {
        resources,
        context: {
          "route53:ChangeResourceRecordSetsNormalizedRecordNames": each((one) =>
            normalName(one.ResourceRecordSet.Name),
          ),
          "route53:ChangeResourceRecordSetsRecordTypes": each((one) => one.ResourceRecordSet.Type),
          "route53:ChangeResourceRecordSetsActions": each((one) => one.Action),
        },
      };
    },
  };
}
