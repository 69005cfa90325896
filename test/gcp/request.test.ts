/** What is about to leave is read out of the request itself: whoever made it, it passes the gate only as what it is. */
import { describe, expect, test } from "bun:test";
import { GCP_OPERATIONS } from "../../policy/permissions/gcp/operations.ts";
import { type About, readRequest } from "../../providers/gcp/request.ts";

const COMMAND = "0193a0b1-7c00-7000-8000-000000000001";
const OTHER = "0193a0b1-7c00-7000-8000-000000000002";
const POOL = "projects/my-project/locations/europe-west1/caPools/pool";
function aboutOf(resource: string, ...known: string[]): About {
  return {
    gcp: { project: "my-project", region: "europe-west1" },
    command: COMMAND,
    resource,
    image: null,
    count: 4,
    known: new Set(known),
  };
}
function read(
  service: "compute" | "privateca" | "dns",
  method: string,
  path: string,
  about: About,
  body: object | null = null,
) {
  const bytes = body === null ? null : new TextEncoder().encode(JSON.stringify(body));
  return readRequest({ service, method, url: new URL(path, "https://host.example"), body: bytes }, about);
}

describe("a request is what it asks for", () => {
  const group = "europe-west1-b/brokers";
  const at = "/compute/v1/projects/my-project/zones/europe-west1-b/instanceGroupManagers/brokers";
  const record = "my-zone/www.example.com";
  const zone = "/dns/v1/projects/my-project/managedZones/my-zone";
  const cases = [
    ["compute", "GET", at, group, "compute.instanceGroupManagers.get"],
    ["compute", "POST", `${at}/resize?requestId=${COMMAND}&size=4`, group, "compute.instanceGroupManagers.resize"],
    ["compute", "POST", `${at}/listManagedInstances`, group, "compute.instanceGroupManagers.listManagedInstances"],
    ["privateca", "POST", `/v1/${POOL}:fetchCaCerts`, POOL, "privateca.caPools.fetchCaCerts"],
    ["privateca", "GET", `/v1/${POOL}/certificates/${COMMAND}`, POOL, "privateca.certificates.get"],
    [
      "privateca",
      "POST",
      `/v1/${POOL}/certificates?certificateId=${COMMAND}&requestId=${COMMAND}`,
      POOL,
      "privateca.certificates.create",
    ],
    ["dns", "GET", zone, record, "dns.managedZones.get"],
    ["dns", "GET", `${zone}/rrsets?name=www.example.com.&type=A`, record, "dns.resourceRecordSets.list"],
  ] as const;
  test.each(cases)("%s %s %s", (service, method, path, resource, operation) => {
    expect(read(service, method, path, aboutOf(resource))).toMatchObject({ operation, resource });
    expect(
      Object.values(GCP_OPERATIONS)
        .flat()
        .some((row) => row.operation === operation && row.method === method),
    ).toBe(true);
  });

  test("a change of one name is of that name", () => {
    const body = { deletions: [{ name: "www.example.com." }], additions: [{ name: "www.example.com." }] };
    expect(read("dns", "POST", `${zone}/changes`, aboutOf(record), body)).toMatchObject({
      operation: "dns.changes.create",
      resource: record,
    });
  });
});

describe("what is not the command's never reads as its own", () => {
  const group = "europe-west1-b/brokers";
  const groups = "/compute/v1/projects/my-project/zones/europe-west1-b/instanceGroupManagers";
  const zone = "/dns/v1/projects/my-project/managedZones/my-zone";
  const record = "my-zone/www.example.com";
  const cases: readonly (readonly ["compute" | "privateca" | "dns", string, string, string, object | null])[] = [
    ["compute", "GET", groups, group, null],
    ["compute", "GET", `${groups}/others`, group, null],
    ["compute", "GET", `${groups}/brokers`.replace("my-project", "another"), group, null],
    ["compute", "GET", `${groups}/brokers`.replace("europe-west1-b", "us-east1-b"), group, null],
    ["compute", "GET", `${groups}/x%2F..%2Fbrokers`, group, null],
    ["compute", "GET", `${groups}/brokers%2Fresize`, group, null],
    ["compute", "DELETE", `${groups}/brokers`, group, null],
    ["compute", "PATCH", `${groups}/brokers`, group, null],
    ["compute", "POST", `${groups}/brokers/deleteInstances`, group, null],
    ["compute", "POST", `${groups}/brokers/resize?size=4`, group, null],
    ["compute", "POST", `${groups}/brokers/resize?size=4&requestId=${OTHER}`, group, null],
    ["compute", "POST", `${groups}/brokers/resize?size=5&requestId=${COMMAND}`, group, null],
    ["compute", "POST", `${groups}/brokers/resize?size=04&requestId=${COMMAND}`, group, null],
    ["compute", "POST", `${groups}/brokers/resize?size=4&size=5&requestId=${COMMAND}`, group, null],
    ["compute", "POST", `${groups}/brokers/resize?requestId=${COMMAND}`, group, null],
    ["compute", "GET", "/compute/v1/projects/my-project/zones/europe-west1-b/operations/operation-9", group, null],
    ["compute", "GET", "/compute/v1/projects/my-project/zones/europe-west1-b/operations", group, null],
    ["compute", "GET", "/compute/v1/projects/my-project/zones/europe-west1-b/autoscalers/others", group, null],
    ["compute", "GET", "/compute/v1/projects/my-project/zones/europe-west1-b/instances/agent", group, null],
    ["privateca", "POST", `/v1/${POOL}-2:fetchCaCerts`, POOL, null],
    ["privateca", "POST", `/v1/${POOL}:setIamPolicy`, POOL, null],
    ["privateca", "GET", `/v1/${POOL}/certificates/${OTHER}`, POOL, null],
    ["privateca", "POST", `/v1/${POOL}/certificates?certificateId=${COMMAND}`, POOL, {}],
    ["privateca", "POST", `/v1/${POOL}/certificates?certificateId=${OTHER}&requestId=${COMMAND}`, POOL, {}],
    ["privateca", "POST", `/v1/${POOL}/certificateAuthorities/ca:disable`, POOL, {}],
    ["dns", "GET", `${zone}-2`, record, null],
    ["dns", "DELETE", zone, record, null],
    ["dns", "GET", `${zone}/rrsets`, record, null],
    ["dns", "GET", `${zone}/rrsets?name=mail.example.com.`, record, null],
    ["dns", "GET", `${zone}/changes/7`, record, null],
    ["dns", "POST", `${zone}/changes`, record, {}],
    [
      "dns",
      "POST",
      `${zone}/changes`,
      record,
      { additions: [{ name: "www.example.com." }, { name: "mail.example.com." }] },
    ],
    ["dns", "POST", `${zone}/changes`, record, { additions: [{ name: "mail.example.com." }], deletions: [] }],
    ["dns", "POST", `${zone}/changes`, record, { additions: [{ name: "www.example.com." }], isServing: true }],
    ["dns", "POST", `${zone}/rrsets`, record, { name: "www.example.com." }],
  ];
  test.each(cases)("%s %s %s", (service, method, path, resource, body) => {
    const found = read(service, method, path, aboutOf(resource), body);
    const rows = Object.values(GCP_OPERATIONS).flat();
    const passes =
      rows.some((row) => row.operation === found.operation && row.method === method) && found.resource === resource;
    expect([found, passes]).toEqual([found, false]);
  });

  test("an operation, a change and an autoscaler pass once an answer to the command named them", () => {
    const path = "zones/europe-west1-b/operations/operation-9";
    const url = `/compute/v1/projects/my-project/${path}`;
    expect(read("compute", "GET", url, aboutOf(group, path)).resource).toBe(group);
    expect(read("dns", "GET", `${zone}/changes/7`, aboutOf(record, "my-zone/changes/7")).resource).toBe(record);
    const own = `/compute/v1/projects/my-project/zones/europe-west1-b/operations?filter=${encodeURIComponent(`clientOperationId = "${COMMAND}"`)}`;
    expect(read("compute", "GET", own, aboutOf(group)).resource).toBe(group);
  });
});
