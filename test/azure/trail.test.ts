/** Azure's two logs beside ours: what of their events is a call, whose it is, what it was about, and what it asked for. */
import { describe, expect, test } from "bun:test";
import { azureTrail } from "../../agent/audit/reconcile/azure.ts";
import { type Call, TrailFault } from "../../agent/audit/reconcile/call.ts";
import { GROUP, SUBSCRIPTION } from "./world/world.ts";

const OID = "3c1f6471-1bf0-4dda-aec3-cb9272f09590";
const COMMAND = "0193a0b1-7c00-7000-8000-000000000001";
const CLAIM = "http://schemas.microsoft.com/identity/claims/objectidentifier";
const principal = { id: OID, subscription: SUBSCRIPTION, resourceGroup: GROUP };
const IN_GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}/providers`;
const SET = `${IN_GROUP}/Microsoft.Compute/virtualMachineScaleSets/brokers`;

function activity(more: Record<string, unknown> = {}) {
  return {
    ...{
      eventTimestamp: "2026-11-24T09:14:07.4123456Z",
      operationName: { value: "Microsoft.Compute/virtualMachineScaleSets/write" },
    },
    ...{ correlationId: "c-1", operationId: "o-1", resourceId: SET, caller: OID, claims: { [CLAIM]: OID } },
    ...{ status: { value: "Succeeded" }, subStatus: { value: "OK" } },
    httpRequest: { clientRequestId: COMMAND, clientIpAddress: "10.20.0.5" },
    ...more,
  };
}
const started = (body: unknown, more: Record<string, unknown> = {}) =>
  activity({
    status: { value: "Started" },
    subStatus: { value: "" },
    properties: { requestbody: JSON.stringify(body) },
    ...more,
  });
function audit(more: Record<string, unknown> = {}, properties: Record<string, unknown> = {}) {
  return {
    ...{
      time: "2026-11-24T09:14:07.412Z",
      category: "AuditEvent",
      operationName: "KeySign",
      resultType: "Success",
      correlationId: "k-1",
    },
    identity: { claim: { [CLAIM]: OID } },
    properties: {
      clientInfo: `reeve/0.1.0 cmd/${COMMAND}`,
      httpStatusCode: 200,
      requestUri: "https://prod-eu-1-ca.vault.azure.net/keys/clients/0/sign?api-version=7.6",
      ...properties,
    },
    ...more,
  };
}

/** What a file of this text says, in pieces of `size` bytes. */
function callsOf(text: string, size = 7): (Call | null)[] {
  const trail = azureTrail(principal);
  const splitter = trail.splitter();
  const calls: (Call | null)[] = [];
  const take = (event: Uint8Array): void => {
    const { is, call } = trail.read(event);
    calls.push(is === "ours" ? call : null);
  };
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size), take);
  expect(splitter.end(take)).toBe("events");
  return calls;
}
const list = (...events: object[]): string => JSON.stringify(events, null, 1);
const lines = (...events: object[]): string => events.map((event) => `${JSON.stringify(event)}\n`).join("");

describe("the Activity Log", () => {
  test("the events of one call are one, in any order: who, what, on what, and what was asked", () => {
    for (const events of [
      [activity(), started({ sku: { capacity: 4 } })],
      [started({ sku: { capacity: 4 } }), activity({ status: { value: "Accepted" } }), activity()],
    ])
      expect(callsOf(list(...events))).toEqual([
        expect.objectContaining({
          ...{
            requestId: "c-1",
            operation: "Microsoft.Compute/virtualMachineScaleSets/write",
            kind: "change",
            subjects: ["brokers"],
          },
          ...{ command: COMMAND, error: null, place: "ours", time: Date.parse("2026-11-24T09:14:07.412Z") },
          wished: expect.objectContaining({ count: 4 }),
        }) as unknown as Call,
      ]);
  });

  test("a call that was refused has Azure's word for it; one that was accepted and then failed was made", () => {
    const failed = activity({ status: { value: "Failed" }, subStatus: { value: "Forbidden" } });
    expect(callsOf(list(started({}), failed))[0]?.error).toBe("Forbidden");
    expect(callsOf(list(failed, activity({ status: { value: "Accepted" } })))[0]?.error).toBeNull();
  });

  test("another operation under the same correlation id is another call: whoever names it does not hide it", () => {
    const calls = callsOf(list(activity(), activity({ operationId: "o-2" })));
    expect(calls.map((call) => [call?.requestId, call?.id])).toEqual([
      ["c-1", "o-1 Microsoft.Compute/virtualMachineScaleSets/write"],
      ["c-1", "o-2 Microsoft.Compute/virtualMachineScaleSets/write"],
    ]);
  });

  test("records: by zone and name, whatever the case, with what was put", () => {
    const at = {
      operationName: { value: "Microsoft.Network/dnszones/A/write" },
      resourceId: `${IN_GROUP}/Microsoft.Network/dnszones/Example.com/A/WWW`,
    };
    const [put] = callsOf(
      list(activity(at), started({ properties: { TTL: 60, ARecords: [{ ipv4Address: "10.20.0.1" }] } }, at)),
    );
    expect([put?.operation, put?.subjects]).toEqual([
      "Microsoft.Network/dnsZones/A/write",
      ["example.com/www.example.com"],
    ]);
    expect(put?.wished.records).toEqual([
      { step: "PUT", name: "www.example.com", type: "A", ttl: 60, values: ["10.20.0.1"] },
    ]);
    const gone = { ...at, operationName: { value: "Microsoft.Network/dnszones/A/delete" } };
    expect(callsOf(list(activity(gone)))[0]?.wished.records).toEqual([
      { step: "DELETE", name: "www.example.com", type: "A", ttl: null, values: null },
    ]);
  });

  test("another resource group or subscription is another place, and shows itself whole", () => {
    for (const resourceId of [SET.replace(`/${GROUP}/`, "/other/"), SET.replace(SUBSCRIPTION, OID)])
      expect(callsOf(list(activity({ resourceId })))[0]).toMatchObject({ place: "other", subjects: [resourceId] });
  });

  test("others' calls are others'; a client's id that is no command's names none", () => {
    expect(callsOf(list(activity({ caller: "maria@customer.example", claims: {} })))).toEqual([null]);
    expect(
      callsOf(list(activity({ httpRequest: { clientRequestId: "4bc4e3a2-7c00-4000-8000-000000000001" } })))[0]?.command,
    ).toBeNull();
  });
});

describe("a key vault's audit log", () => {
  test("one event is one call, also with another's correlation id", () => {
    const calls = callsOf(lines(audit(), audit({ time: "2026-11-24T09:14:08.412Z" })));
    expect(calls.map((call) => [call?.operation, call?.requestId, call?.subjects, call?.kind])).toEqual(
      Array(2).fill(["Microsoft.KeyVault/vaults/keys/sign/action", "k-1", ["prod-eu-1-ca/clients"], "change"]),
    );
    expect(new Set(calls.map((call) => call?.id)).size).toBe(2);
  });

  test("reads are reads, refusals have their word, other categories are passed by", () => {
    const [read] = callsOf(lines(audit({ operationName: "KeyGet" })));
    expect([read?.kind, read?.operation]).toEqual(["read", "Microsoft.KeyVault/vaults/keys/read"]);
    expect(
      callsOf(lines(audit({ resultType: "Failure", resultSignature: "Forbidden" }, { httpStatusCode: 403 })))[0]?.error,
    ).toBe("Forbidden");
    expect(callsOf(lines({ category: "AzurePolicyEvaluationDetails", time: "x" }))).toEqual([null]);
  });

  test("only of these does Azure have reads", () => {
    const { holdsReads } = azureTrail(principal);
    expect([
      holdsReads?.("Microsoft.KeyVault/vaults/keys/read"),
      holdsReads?.("Microsoft.Compute/virtualMachineScaleSets/read"),
    ]).toEqual([true, false]);
  });
});

test.each([
  ["no JSON", "hello"],
  ["a list that does not end", '[{"category":"x"}'],
  ["an event that does not end", '{"category":"x"'],
  ["two lists in one", '[[{"category":"x"}]]'],
  ["an event of neither log", '[{"eventSource":"autoscaling.amazonaws.com"}]'],
  ["an event nested without end", `${'{"a":'.repeat(80)}1${"}".repeat(80)}`],
])("%s is refused: nothing is concluded from it", (_, text) => {
  expect(() => callsOf(text)).toThrow(TrailFault);
});
