import { describe, expect, test } from "bun:test";
import { parseConfig } from "../../agent/config.ts";

const GOOD = `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://control.vendor.example:8443", trust_sha256: ${"A".repeat(43)} }
token: { credential: reeve-token }
provider: local
`;

const AWS = GOOD.replace(
  "provider: local\n",
  `provider: aws\naws: { account: "111122223333", role: reeve, region: eu-west-1, partition: aws }\n`,
);
const endpoint = (name: string, url: string) =>
  AWS.replace("partition: aws", `partition: aws, endpoints: { ${name}: "${url}" }`);

describe("the config", () => {
  test("a short one is read, and what it leaves out has the documented defaults", () => {
    const parsed = parseConfig(GOOD);
    if (!("config" in parsed)) throw new Error(JSON.stringify(parsed));
    expect(parsed.config.state).toBe("/var/lib/reeve");
    expect(parsed.config.key_rotation).toBe("approve");
    expect(parsed.config.owner).toEqual({ directory: "/etc/reeve/owner", uid: 0 });
  });
  test("aws is read with private endpoints, and without them the metadata service is the machine's own", () => {
    for (const [text, endpoints] of [
      [AWS, {}],
      [
        endpoint("acm-pca", "https://vpce-1.acm-pca.eu-west-1.vpce.amazonaws.com"),
        { "acm-pca": "https://vpce-1.acm-pca.eu-west-1.vpce.amazonaws.com" },
      ],
      [endpoint("sts", "http://127.0.0.1:4566"), { sts: "http://127.0.0.1:4566" }],
    ] as const) {
      const parsed = parseConfig(text);
      if (!("config" in parsed)) throw new Error(JSON.stringify(parsed));
      expect(parsed.config.aws).toEqual({
        account: "111122223333",
        role: "reeve",
        region: "eu-west-1",
        partition: "aws",
        endpoints: { metadata: "http://169.254.169.254", ...endpoints },
      });
    }
  });
  test("a proxy is none, an address, or an address with a file of credentials; endpoints go directly by name", () => {
    const egress = (text: string) => {
      const parsed = parseConfig(`${GOOD}egress: ${text}\n`);
      if (!("config" in parsed)) throw new Error(JSON.stringify(parsed));
      return parsed.config.egress;
    };
    expect(egress("{}")).toEqual({ proxy: "none", endpoints: {} });
    expect(
      egress('{ proxy: "http://p.example:3128", endpoints: { "c.example:443": direct, "[::1]:8443": direct } }'),
    ).toEqual({
      proxy: "http://p.example:3128",
      endpoints: { "c.example:443": "direct", "[::1]:8443": "direct" },
    });
    const credentials_file = "/etc/reeve/proxy-credentials";
    expect(egress(`{ proxy: { url: "http://[::1]:80", credentials_file: ${credentials_file} } }`).proxy).toEqual({
      url: "http://[::1]:80",
      credentials_file,
    });
  });
  test("until when the first machine joins is a moment in UTC", () => {
    for (const moment of ["2026-11-29T18:00:00Z", "2026-11-29T18:00Z"])
      expect(parseConfig(`${GOOD}first_until: ${moment}\n`)).toMatchObject({
        config: { first_until: Date.UTC(2026, 10, 29, 18) },
      });
  });
  const bad: [string, string, RegExp][] = [
    ["a first machine for ever", `${GOOD}first_until: always\n`, /^6:\d+: first_until: a time such as/],
    ["a day without a time", `${GOOD}first_until: 2026-11-29\n`, /^6:\d+: first_until: a time such as/],
    ["a moment that is none", `${GOOD}first_until: 2026-02-30T12:00:00Z\n`, /^6:\d+: first_until: a time such as/],
    [
      "a first machine beside a bucket",
      `${AWS}owner: { bucket: "s3://owner-bucket/prod", region: eu-west-1 }\nfirst_until: 2026-11-29T18:00:00Z\n`,
      /first_until: log\/head in the bucket says who was before/,
    ],
    ["an unknown field", `${GOOD}keyrotation: automatic\n`, /^6:1: .*keyrotation/i],
    ["a field twice", `${GOOD}provider: local\n`, /unique|twice|duplicate/i],
    ["an anchor", GOOD.replace("prod-eu-1", "&a prod-eu-1"), /anchor/],
    ["http", GOOD.replace("https:", "http:"), /^3:\d+: control_plane.enrol/],
    ["a relative state folder", `${GOOD}state: var\n`, /^6:\d+: state: an absolute path/],
    ["a provider that is not there", GOOD.replace("provider: local", "provider: moon"), /^5:\d+: provider/],
    ["aws without its field", GOOD.replace("provider: local", "provider: aws"), /^5:\d+: provider: aws needs/],
    ["the field aws with another provider", `${AWS.replace("provider: aws", "provider: local")}`, /^6:\d+: aws: /],
    ["an account as a number", AWS.replace(`"111122223333"`, "111122223333"), /^6:\d+: aws.account/],
    ["a role's ARN", AWS.replace("role: reeve", "role: arn:aws:iam::111122223333:role/reeve"), /aws.role/],
    ["a role with a path", AWS.replace("role: reeve", "role: ops/reeve"), /aws.role/],
    [
      "a region of another partition",
      AWS.replace("eu-west-1", "cn-north-1"),
      /aws.partition: cn-north-1 is in .* aws-cn/,
    ],
    [
      "the sovereign cloud's region in another partition",
      AWS.replace("eu-west-1", "eusc-de-east-1"),
      /aws.partition: eusc-de-east-1 is in .* aws-eusc/,
    ],
    ["a region of a partition that is not there", AWS.replace("eu-west-1", "us-isob-east-1"), /aws.region/],
    ["no partition", AWS.replace(", partition: aws", ""), /aws.partition/],
    ["an unknown field of aws", AWS.replace("role: reeve", "role: reeve, profile: admin"), /^6:\d+: aws: .*profile/],
    ["a plain endpoint", endpoint("sts", "http://sts.internal"), /aws.endpoints.sts/],
    ["an endpoint with a path", endpoint("sts", "https://sts.internal/x"), /aws.endpoints.sts/],
    ["an endpoint with a user", endpoint("sts", "https://a:b@sts.internal"), /aws.endpoints.sts/],
    ["an endpoint in upper case", endpoint("sts", "https://STS.internal"), /aws.endpoints.sts/],
    ["this machine under another name", endpoint("sts", "http://localhost:1"), /aws.endpoints.sts/],
    ["this machine as a number", endpoint("sts", "https://2130706433"), /aws.endpoints.sts/],
    ["a name that begins like this machine", endpoint("sts", "http://127.0.0.1.evil.example"), /aws.endpoints.sts/],
    ["an unknown endpoint", endpoint("lambda", "https://lambda.internal"), /aws.endpoints: .*lambda/],
    ["another metadata service", endpoint("metadata", "http://10.0.0.1"), /aws.endpoints.metadata/],
    ["no token source", GOOD.replace("token: { credential: reeve-token }\n", ""), /token/],
    ["an address that is none", GOOD.replace(":8443", ":99999"), /^3:\d+: control_plane.enrol/],
    [
      "a proxy by https",
      `${GOOD}egress: { proxy: "https://p.example:3128" }\n`,
      /^6:\d+: egress.proxy: http:\/\/HOST:PORT/,
    ],
    [
      "a proxy with a password in its address",
      `${GOOD}egress: { proxy: "http://u:p@p.example:3128" }\n`,
      /without credentials/,
    ],
    ["a proxy without a port", `${GOOD}egress: { proxy: "http://p.example" }\n`, /egress.proxy/],
    [
      "credentials in the config",
      `${GOOD}egress: { proxy: { url: "http://p.example:3128", credentials: "u:p" } }\n`,
      /egress.proxy.*credentials/,
    ],
    ["an endpoint in capitals", `${GOOD}egress: { endpoints: { "Control.example:1": direct } }\n`, /in lower case/],
    ["an endpoint that is not direct", `${GOOD}egress: { endpoints: { "c.example:1": proxy } }\n`, /only direct/],
    ["nothing", "", /./],
    ["not YAML", "a: [", /./],
  ];
  for (const [what, text, message] of bad) {
    test(`${what} is refused with its place`, () => {
      const parsed = parseConfig(text);
      if ("config" in parsed) throw new Error("it was read");
      expect(parsed.faults.map((fault) => `${fault.line}:${fault.column}: ${fault.message}`).join("; ")).toMatch(
        message,
      );
    });
  }
});
