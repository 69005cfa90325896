/** Run by prune.test.ts, as it is and bundled with pruned descriptors: prints what each call of Google's clients sends and makes of its answer. */
import { authorityClient, computeClient } from "../../providers/gcp/clients.ts";

const lines: unknown[] = [];
/** Answers in both spellings of an enum, with fields that are known and one that is not. */
const ANSWERS: Readonly<Record<string, object>> = {
  resize: { name: "operation-1", status: "RUNNING", clientOperationId: "x", aFieldOfTomorrow: 1 },
  operation: { name: "operation-1", status: "DONE", error: { errors: [{ code: "QUOTA_EXCEEDED", message: "no" }] } },
  group: {
    name: "g",
    targetSize: 3,
    status: { isStable: true, stateful: { hasStatefulConfig: false } },
    id: "12345678901234567890",
  },
  instances: {
    managedInstances: [{ id: "1", instance: "i", currentAction: "CREATING", instanceStatus: "RUNNING" }],
    nextPageToken: "t",
  },
  autoscaler: { name: "a", autoscalingPolicy: { mode: "ON", minNumReplicas: 1, maxNumReplicas: 4 } },
  operations: { items: [{ name: "operation-1", status: "PENDING" }] },
  // As `$alt=json;enum-encoding=int` asks: numbers.
  certificate: {
    name: "c",
    subjectMode: 1,
    lifetime: "3599s",
    pemCertificate: "p",
    pemCertificateChain: ["q"],
    config: { publicKey: { format: 1, key: "AAAA" } },
  },
  pool: { caCerts: [{ certificates: ["a", "b"] }] },
};

function wire(answer: string) {
  return async (url: URL, method: string, body: Uint8Array | null) => {
    lines.push({ answer, method, url: url.href, body: body === null ? null : new TextDecoder().decode(body) });
    return new TextEncoder().encode(JSON.stringify(ANSWERS[answer]));
  };
}
const COMPUTE = new URL("https://compute.googleapis.com");
const AUTHORITY = new URL("https://privateca.googleapis.com");
const POOL = "projects/p/locations/europe-west1/caPools/pool";

for (const [where, place] of [
  ["zones", { project: "p", zone: "europe-west1-b" }],
  ["regions", { project: "p", region: "europe-west1" }],
] as const) {
  const group = { ...place, instanceGroupManager: "g" };
  const groups = (answer: string) => computeClient(where, "groups", COMPUTE, wire(answer));
  lines.push(await groups("group").get(group));
  lines.push(
    (await groups("resize").resize({ ...group, size: 0, requestId: "0193a0b1-7c00-7000-8000-000000000001" }))[0],
  );
  lines.push(
    await groups("instances").listManagedInstances(
      { ...group, maxResults: 500, pageToken: "x/y" },
      { autoPaginate: false },
    ),
  );
  lines.push(await computeClient(where, "autoscalers", COMPUTE, wire("autoscaler")).get({ ...place, autoscaler: "a" }));
  const operations = (answer: string) => computeClient(where, "operations", COMPUTE, wire(answer));
  lines.push(await operations("operation").get({ ...place, operation: "operation-1" }));
  lines.push(
    await operations("operations").list({ ...place, filter: 'clientOperationId = "x"' }, { autoPaginate: false }),
  );
}
lines.push(await authorityClient(AUTHORITY, wire("pool")).fetchCaCerts({ caPool: POOL }));
lines.push(await authorityClient(AUTHORITY, wire("certificate")).getCertificate({ name: `${POOL}/certificates/c` }));
const certificate = {
  lifetime: { seconds: 3599 },
  config: {
    publicKey: { format: "PEM", key: Buffer.from("key") },
    subjectConfig: { subject: { commonName: "a.example.com" }, subjectAltName: { dnsNames: ["a.example.com"] } },
    x509Config: {
      caOptions: { isCa: false },
      keyUsage: { baseKeyUsage: { digitalSignature: true }, extendedKeyUsage: { serverAuth: true } },
    },
  },
};
lines.push(
  await authorityClient(AUTHORITY, wire("certificate")).createCertificate({
    parent: POOL,
    certificateId: "c",
    requestId: "r",
    certificate,
  }),
);
console.log(JSON.stringify(lines, null, 1));
