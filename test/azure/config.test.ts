import { expect, test } from "bun:test";
import { parseConfig, worksIn } from "../../agent/config.ts";
import { endpointOf, placesOf } from "../../providers/azure/endpoints.ts";
import { operationAt } from "../../providers/azure/operation.ts";
import { GROUP, SUBSCRIPTION, TENANT } from "./world/world.ts";

const AZURE = `azure:
  environment: public
  tenant: ${TENANT}
  subscription: ${SUBSCRIPTION}
  resource_group: ${GROUP}
  location: westeurope
  principal: 3c1f6471-1bf0-4dda-aec3-cb9272f09590
  identity: system
  authorities: { prod-eu-1-ca/clients: { version: "${"0".repeat(32)}", chain: /etc/reeve/ca.pem } }
`;
const HEAD = `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://control.vendor.example:8443", trust_sha256: ${"A".repeat(43)} }
token: { file: /etc/reeve/token }
provider: azure
`;
const faultsOf = (text: string): string => {
  const read = parseConfig(text);
  return "faults" in read ? read.faults.map(({ message }) => message).join("\n") : "";
};
function azureOf(more = "") {
  const read = parseConfig(`${HEAD}${AZURE}${more}`);
  if ("faults" in read || read.config.azure === undefined) throw new Error(JSON.stringify(read));
  return { config: read.config, azure: read.config.azure };
}

test("the config's place is a policy's: subscription and resource group", () => {
  expect(worksIn(azureOf().config)).toEqual({ cloud: "azure", subscription: SUBSCRIPTION, resource_group: GROUP });
});

test.each([
  ["a field that nobody knows", AZURE.replace("identity: system", "identity: system\n  secret: x"), "secret"],
  ["no environment", AZURE.replace("  environment: public\n", ""), "environment"],
  ["an identity of another form", AZURE.replace("identity: system", "identity: { secret: x }"), "identity"],
  ["a subscription in capitals", AZURE.replace(SUBSCRIPTION, SUBSCRIPTION.toUpperCase()), "subscription"],
  ["an authority without a version", AZURE.replace(/version: "0+", /, ""), "version"],
  ["an authority that is no VAULT/KEY", AZURE.replace("prod-eu-1-ca/clients", "clients"), "authorities"],
  ["plain http elsewhere", `${AZURE}  endpoints: { arm: "http://10.0.0.1" }\n`, "endpoints"],
  ["a metadata service elsewhere", `${AZURE}  endpoints: { metadata: "http://10.0.0.1" }\n`, "metadata"],
])("%s is refused, and named", (_, azure, field) => {
  expect(faultsOf(`${HEAD}${azure}`)).toContain(field);
});

test("the provider and its field belong together, and a bucket is taken of its own cloud alone", () => {
  expect(faultsOf(HEAD)).toContain("azure needs the field azure");
  expect(faultsOf(`${HEAD.replace("provider: azure", "provider: local")}${AZURE}`)).toContain(
    "the provider is another one",
  );
  expect(faultsOf(`${HEAD}${AZURE}owner: { bucket: azblob://account/container/prefix }\n`)).toEqual("");
  expect(faultsOf(`${HEAD}${AZURE}owner: { bucket: gs://bucket/prefix }\n`)).toContain("needs the provider gcp");
});

test("each environment has its own places and audiences, and a private endpoint stands in for Azure's", () => {
  const { azure } = azureOf();
  const seen = (["public", "us-government", "china"] as const).map((environment) => {
    const own = { ...azure, environment };
    const [arm, vault] = [endpointOf(own, "arm"), endpointOf(own, { vault: "prod-eu-1-ca" })];
    return [arm.url.href, vault.host, arm.audience, vault.audience];
  });
  expect(seen).toEqual([
    [
      "https://management.azure.com/",
      "prod-eu-1-ca.vault.azure.net",
      "https://management.azure.com/",
      "https://vault.azure.net",
    ],
    [
      "https://management.usgovcloudapi.net/",
      "prod-eu-1-ca.vault.usgovcloudapi.net",
      "https://management.usgovcloudapi.net/",
      "https://vault.usgovcloudapi.net",
    ],
    [
      "https://management.chinacloudapi.cn/",
      "prod-eu-1-ca.vault.azure.cn",
      "https://management.chinacloudapi.cn/",
      "https://vault.azure.cn",
    ],
  ]);
  const { azure: own } = azureOf('  endpoints: { arm: "https://arm.internal:8443" }\n');
  expect(placesOf(own, "arm", ["GET"])).toEqual([{ host: "arm.internal:8443", region: TENANT, method: "GET" }]);
});

const AT = `https://management.azure.com/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope/operations/11111111-1111-4111-8111-111111111111`;
test("an operation's URL is followed on Resource Manager's own host and in the config's subscription only", () => {
  const { azure } = azureOf();
  expect(operationAt(azure, `${AT}?p=1&api-version=2026-04-01`).path).toBe(new URL(AT).pathname);
  for (const url of [
    AT.replace("https:", "http:"),
    AT.replace("management.azure.com", "management.azure.com.evil.example"),
    AT.replace("management.azure.com", "management.azure.com:8443"),
    AT.replace("https://", "https://user:secret@"),
    AT.replace(SUBSCRIPTION, TENANT),
    AT.replace("Microsoft.Compute/locations/westeurope/operations", "Microsoft.KeyVault/vaults"),
    AT.replace("/operations/", "/operations/../vmSizes/"),
    `${AT}/../../../../resourceGroups`,
    `${AT}#x`,
    ` ${AT}`,
    "operations/1",
    "",
  ])
    expect(() => operationAt(azure, url)).toThrow("operation-elsewhere");
});
