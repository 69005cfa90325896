/** Cloud Audit Logs' entries, read for `audit reconcile`: whose they are, what they say, and what is not taken. */
import { describe, expect, test } from "bun:test";
import { auditLogs } from "../../agent/audit/reconcile/auditLogs.ts";
import { type Read, TrailFault } from "../../agent/audit/reconcile/call.ts";
import { splitLines } from "../../agent/audit/reconcile/lines.ts";

const ACCOUNT = { email: "reeve@my-project.iam.gserviceaccount.com", project: "my-project", region: "europe-west1" };
const COMMAND = "0193a0b1-7c00-7000-8000-000000000001";
const CALL = "0193a0b1-7c00-7000-8000-000000000002";
const GROUP = "projects/my-project/zones/europe-west1-b/instanceGroupManagers/brokers";

type Over = { readonly payload?: object; readonly entry?: object };
function entry({ payload = {}, entry: more = {} }: Over = {}): object {
  return {
    insertId: "a1",
    logName: "projects/my-project/logs/cloudaudit.googleapis.com%2Factivity",
    timestamp: "2026-11-24T09:14:07.412345Z",
    protoPayload: {
      "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
      serviceName: "compute.googleapis.com",
      methodName: "v1.compute.instanceGroupManagers.resize",
      resourceName: GROUP,
      authenticationInfo: { principalEmail: ACCOUNT.email },
      requestMetadata: {
        callerIp: "10.20.0.5",
        callerSuppliedUserAgent: `reeve/0.1.0 cmd/${COMMAND} call/${CALL},gzip(gfe)`,
      },
      request: { size: "4", requestId: COMMAND },
      ...payload,
    },
    ...more,
  };
}
function read(of: unknown): Read {
  return auditLogs(ACCOUNT).read(new TextEncoder().encode(typeof of === "string" ? of : JSON.stringify(of)));
}

test("a change of the account's is a call with its own id, its resource in the log's words, and what it asked", () => {
  expect(read(entry())).toMatchObject({
    is: "ours",
    reads: false,
    call: {
      id: "a1",
      requestId: CALL,
      operation: "compute.instanceGroupManagers.resize",
      kind: "change",
      subjects: ["europe-west1-b/brokers"],
      place: "ours",
      error: null,
      userAgent: `reeve/0.1.0 cmd/${COMMAND} call/${CALL} gzip(gfe)`,
      wished: { count: 4 },
    },
  });
});

test.each([
  ["another's", entry({ payload: { authenticationInfo: { principalEmail: "alice@example.com" } } }), "others"],
  ["nobody's", entry({ payload: { authenticationInfo: {} } }), "others"],
  [
    "of another log",
    { timestamp: "2026-11-24T09:14:07Z", logName: "projects/p/logs/syslog", textPayload: "x" },
    "others",
  ],
  ["how a long operation ended", entry({ entry: { operation: { id: "operation-1", last: true } } }), "summary"],
  ["how it began", entry({ entry: { operation: { id: "operation-1", first: true } } }), "ours"],
  ["one that began and ended at once", entry({ entry: { operation: { id: "o", first: true, last: true } } }), "ours"],
] as const)("an entry that is %s", (_, of, is) => {
  expect(read(of).is).toBe(is);
});

test.each([
  ["no JSON", "{"],
  ["no object", "7"],
  ["the account's without an id", entry({ entry: { insertId: undefined } })],
  ["the account's without a method", entry({ payload: { methodName: 7 } })],
  ["of a time that is none", entry({ entry: { timestamp: "yesterday" } })],
])("an entry that is %s is not of the log, and nothing is concluded", (_, of) => {
  expect(() => read(of)).toThrow(TrailFault);
});

describe("what a call was", () => {
  const dataAccess = { logName: "projects/my-project/logs/cloudaudit.googleapis.com%2Fdata_access" };
  test.each([
    ["DATA_READ", "read"],
    ["ADMIN_READ", "read"],
    ["DATA_WRITE", "change"],
    [null, "unsaid"],
  ])("of Data Access with %s is %s", (permissionType, kind) => {
    const authorizationInfo = permissionType === null ? [{}] : [{ permissionType }];
    expect(read(entry({ entry: dataAccess, payload: { authorizationInfo } }))).toMatchObject({
      reads: true,
      call: { kind },
    });
  });

  test("in another region or project is elsewhere, and a failure has its code", () => {
    const other = GROUP.replace("europe-west1-b", "us-east1-b");
    expect(read(entry({ payload: { resourceName: other, status: { code: 7 } } })).call).toMatchObject({
      place: "other",
      error: "code 7",
    });
    expect(read(entry({ payload: { resourceName: GROUP.replace("my-project", "another") } })).call?.place).toBe(
      "other",
    );
  });

  test("a change of records shows each, deletions first", () => {
    const change = {
      additions: [{ name: "WWW.example.com.", type: "A", ttl: 60, rrdata: ["10.20.0.2"] }],
      deletions: [{ name: "www.example.com.", type: "A", ttl: 300, rrdatas: ["10.20.0.1"] }],
    };
    const payload = { methodName: "dns.changes.create", resourceName: "managedZones/my-zone", request: { change } };
    expect(read(entry({ payload })).call).toMatchObject({
      operation: "dns.changes.create",
      subjects: ["my-zone/www.example.com", "my-zone/www.example.com"],
      wished: {
        records: [
          { step: "DELETE", name: "www.example.com", ttl: 300, values: ["10.20.0.1"] },
          { step: "CREATE", name: "www.example.com", ttl: 60, values: ["10.20.0.2"] },
        ],
      },
    });
  });

  test("a certificate of an authority is no certificate of a server's, and a key that is none is not compared", () => {
    const config = {
      publicKey: { key: "bm9uZQ==" },
      subjectConfig: { subjectAltName: { dnsNames: ["a.example.com"] } },
      x509Config: {
        caOptions: { isCa: true },
        keyUsage: { extendedKeyUsage: { serverAuth: true, codeSigning: true, clientAuth: false } },
      },
    };
    const pool = "projects/my-project/locations/europe-west1/caPools/pool";
    const payload = {
      methodName: "google.cloud.security.privateca.v1.CertificateAuthorityService.CreateCertificate",
      resourceName: `${pool}/certificates/${COMMAND}`,
      request: { certificate: { lifetime: "3599s", config } },
    };
    const seconds = Date.parse("2026-11-24T09:14:07Z") / 1000;
    expect(read(entry({ payload })).call).toMatchObject({
      operation: "privateca.certificates.create",
      subjects: [pool],
      wished: {
        usages: "an authority,codeSigning,server",
        validity: { from: seconds, until: seconds + 3599 },
        request: null,
      },
    });
  });
});

test("lines are cut wherever the pieces end, and one that is too long is no entry", () => {
  const text = new TextEncoder().encode('{"a":1}\n\n{"b":"ä"}\n{"c":3}');
  for (const size of [1, 2, 5, 100]) {
    const lines: string[] = [];
    const take = (line: Uint8Array) => void lines.push(new TextDecoder().decode(line));
    const splitter = splitLines();
    for (let at = 0; at < text.length; at += size) splitter.push(text.subarray(at, at + size), take);
    expect([splitter.end(take), lines]).toEqual(["events", ['{"a":1}', '{"b":"ä"}', '{"c":3}']]);
  }
  expect(() => splitLines().push(new Uint8Array(3 * 1024 * 1024).fill(0x61), () => undefined)).toThrow(TrailFault);
});
