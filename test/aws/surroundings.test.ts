import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireDebian } from "../tools.ts";
import { group, scaleWorld } from "./groups.ts";
import { recorder } from "./recorder.ts";

requireDebian({ strace: "strace" });

/** Everything that an AWS SDK is known to look at, each pointing to a server that must stay silent. */
function lies(home: string, url: string): Record<string, string> {
  return {
    HOME: home,
    AWS_CONFIG_FILE: join(home, ".aws/config"),
    AWS_SHARED_CREDENTIALS_FILE: join(home, ".aws/credentials"),
    AWS_PROFILE: "liar",
    AWS_SDK_LOAD_CONFIG: "1",
    AWS_ACCESS_KEY_ID: "AKIALIARLIARLIARLIAR",
    AWS_SECRET_ACCESS_KEY: "lie",
    AWS_SESSION_TOKEN: "lie",
    AWS_ROLE_ARN: "arn:aws:iam::999999999999:role/liar",
    AWS_WEB_IDENTITY_TOKEN_FILE: join(home, ".aws/token"),
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/container`,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_EC2_METADATA_V1_DISABLED: "false",
    AWS_REGION: "us-east-1",
    AWS_DEFAULT_REGION: "us-east-1",
    AWS_ENDPOINT_URL: url,
    AWS_ENDPOINT_URL_AUTO_SCALING: url,
    AWS_ENDPOINT_URL_ACM_PCA: url,
    AWS_ENDPOINT_URL_ROUTE_53: url,
    AWS_ENDPOINT_URL_STS: url,
    AWS_USE_FIPS_ENDPOINT: "true",
    AWS_USE_DUALSTACK_ENDPOINT: "true",
    AWS_MAX_ATTEMPTS: "9",
    AWS_RETRY_MODE: "adaptive",
    AWS_DEFAULTS_MODE: "mobile",
    AWS_SDK_UA_APP_ID: "liar",
    AWS_EXECUTION_ENV: "liar",
    AWS_AUTH_SCHEME_PREFERENCE: "sigv4a",
    AWS_SIGV4A_SIGNING_REGION_SET: "*",
    HTTP_PROXY: url,
    http_proxy: url,
    HTTPS_PROXY: url,
    ALL_PROXY: url,
  };
}

test.each([
  ["variables, profiles and shared files lie", true],
  ["only the shared files in the home folder lie", false],
])(
  "%s: none is opened, nothing of them decides, and only the config's places are asked",
  async (_, variables) => {
    const folder = mkdtempSync(join(tmpdir(), "reeve-lies-"));
    const liar = await recorder(() => ({ status: 500 }));
    const world = await scaleWorld(group(2));
    try {
      mkdirSync(join(folder, ".aws"));
      const profile = `region = us-east-1\nendpoint_url = ${liar.url}\ncredential_process = touch ${folder}/ran\n`;
      writeFileSync(join(folder, ".aws/config"), `[default]\n${profile}[profile liar]\n${profile}`);
      writeFileSync(
        join(folder, ".aws/credentials"),
        "[liar]\naws_access_key_id = AKIALIAR\naws_secret_access_key = lie\n",
      );
      const trace = join(folder, "trace");
      const script = join(import.meta.dir, "poisoned.ts");
      const child = spawn(
        "strace",
        [
          "-f",
          "-qq",
          "-e",
          "trace=open,openat,openat2,execve,connect",
          "-o",
          trace,
          process.execPath,
          script,
          world.url,
        ],
        {
          env: { PATH: process.env["PATH"], ...(variables ? lies(folder, liar.url) : { HOME: folder }) },
          stdio: ["ignore", "pipe", "inherit"],
        },
      );
      let out = "";
      child.stdout.on("data", (chunk) => {
        out += chunk;
      });
      expect(await new Promise((resolve) => child.on("close", resolve))).toBe(0);
      expect(JSON.parse(out)).toEqual({ state: { count: 2 } });
      expect(liar.bytes()).toBe(0);
      const traced = readFileSync(trace, "utf8");
      // The trace sees what is looked for: the script's own files, and the calls.
      expect(traced).toContain("poisoned.ts");
      expect(traced).toContain("connect(");
      expect(traced.split("\n").filter((line) => /\.aws|credential_process|\/touch/.test(line))).toEqual([]);
      expect(existsSync(join(folder, "ran"))).toBe(false);
      const calls = world.asked.filter(({ path }) => !path.startsWith("/latest/"));
      expect(calls.length).toBe(4);
      for (const { headers } of calls) {
        expect(headers.authorization).toMatch(
          /Credential=ASIAEXAMPLEEXAMPLE00\/\d{8}\/(?:eu-west-1\/(?:autoscaling|sts|acm-pca)|us-east-1\/route53)\//,
        );
        expect(headers["user-agent"]).toStartWith("reeve/9.9.9 cmd/");
        expect(headers["user-agent"]).not.toContain("liar");
      }
    } finally {
      liar.close();
      world.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
  60_000,
);
