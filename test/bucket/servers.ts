/**
 * S3 as others wrote it: moto (Python) with its IAM on, and the Versity S3 gateway (Go) over a folder. In each a bucket with Object Lock, an
 * owner who may do everything, by boto3, and an agent's key that may do what section 5 of the design gives it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { StageBucket } from "../aws/stage.ts";
import { type Moto, startMoto } from "../aws/world/moto.ts";
import { freePort } from "../demo/bind.ts";
import { python } from "../python.ts";
import { goTool } from "./goTool.ts";

export const BUCKET = "the-owners";
export const PREFIX = "prod-eu-1";
export const BUCKET_URL = `s3://${BUCKET}/${PREFIX}`;
const REGION = "us-east-1";

export type Key = { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken: string };
/** What the owner's client said: its answer, or the code of the refusal. */
export type Said = { readonly answer?: Record<string, unknown>; readonly refused?: string };
export type S3Server = {
  readonly name: string;
  readonly endpoint: string;
  readonly region: string;
  /** The agent's. */
  readonly key: Key;
  /** boto3's client of a service, as the owner: `owner("s3", "put_object", { … })`. */
  owner(service: string, operation: string, args: Record<string, unknown>): Promise<Said>;
  put(name: string, text: string): Promise<void>;
  remove(name: string): Promise<void>;
  stop(): Promise<void>;
};

const OBJECTS = `arn:aws:s3:::${BUCKET}/${PREFIX}`;
const MAY = [
  { Action: ["s3:GetObject"], Resource: [`${OBJECTS}/owner/*`, `${OBJECTS}/log/*`] },
  { Action: ["s3:PutObject"], Resource: [`${OBJECTS}/log/*`] },
];

type Owner = { readonly say: S3Server["owner"]; end(): void };

function ownerAt(endpoint: string, key: string, secret: string): Owner {
  const program = python(join(import.meta.dirname, "../aws/world/requirements.txt"));
  const child = spawn(program, [join(import.meta.dirname, "owner.py"), endpoint, REGION, key, secret], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { PATH: "/usr/bin:/bin", PYTHONDONTWRITEBYTECODE: "1", HOME: "/nonexistent" },
  });
  const waiting: { answered(line: string): void; ended(): void }[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.answered(line));
  child.once("exit", () => {
    for (const one of waiting.splice(0)) one.ended();
  });
  return {
    say: (service, operation, args) =>
      new Promise((resolve, reject) => {
        waiting.push({
          answered: (line) => resolve(JSON.parse(line) as Said),
          ended: () => reject(new Error("the owner's client ended")),
        });
        child.stdin.write(`${JSON.stringify([service, operation, args])}\n`);
      }),
    end: () => child.kill("SIGKILL"),
  };
}

async function good(said: Promise<Said>): Promise<Record<string, unknown>> {
  const { answer, refused } = await said;
  if (answer === undefined) throw new Error(`the owner was refused: ${refused}`);
  return answer;
}

function serverOf(name: string, endpoint: string, key: Key, owner: Owner, stop: () => Promise<void>): S3Server {
  return {
    name,
    endpoint,
    region: REGION,
    key,
    owner: owner.say,
    async put(object, text) {
      await good(owner.say("s3", "put_object", { Bucket: BUCKET, Key: `${PREFIX}/${object}`, Body: text }));
    },
    async remove(object) {
      await good(owner.say("s3", "delete_object", { Bucket: BUCKET, Key: `${PREFIX}/${object}` }));
    },
    async stop() {
      owner.end();
      await stop();
    },
  };
}

async function lockedBucket(owner: Owner): Promise<void> {
  await good(owner.say("s3", "create_bucket", { Bucket: BUCKET, ObjectLockEnabledForBucket: true }));
  const Rule = { DefaultRetention: { Mode: "COMPLIANCE", Days: 1 } };
  const ObjectLockConfiguration = { ObjectLockEnabled: "Enabled", Rule };
  await good(owner.say("s3", "put_object_lock_configuration", { Bucket: BUCKET, ObjectLockConfiguration }));
}

/** The owner's folder as a prefix of this bucket, for a stage; `log`: the config's line. */
export function ownersBucket(s3: S3Server, log: string): StageBucket {
  return {
    url: BUCKET_URL,
    config: `${log}\n`,
    owner: `{ bucket: "${BUCKET_URL}", region: ${s3.region}, endpoint: "${s3.endpoint}" }`,
    async put(policy) {
      await s3.put("owner/policy.yaml", policy);
      await s3.put("owner/on", "on\n");
    },
  };
}

/** moto that is running already, so that a bucket lies in the account that a test's world is in. */
export async function motoS3(running: Moto | null = null): Promise<S3Server> {
  const moto = running ?? (await startMoto());
  await moto.judge(false);
  const endpoint = `http://127.0.0.1:${moto.port}`;
  // Nobody is judged yet.
  const nobody = ownerAt(endpoint, "AKIAIOSFODNN7EXAMPLE", "nobody");
  const everything = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
  });
  const user = { UserName: "owner" };
  await good(nobody.say("iam", "create_user", user));
  await good(nobody.say("iam", "put_user_policy", { ...user, PolicyName: "all", PolicyDocument: everything }));
  const { AccessKey } = (await good(nobody.say("iam", "create_access_key", user))) as {
    AccessKey: { AccessKeyId: string; SecretAccessKey: string };
  };
  nobody.end();
  const owner = ownerAt(endpoint, AccessKey.AccessKeyId, AccessKey.SecretAccessKey);
  await lockedBucket(owner);
  const Version = "2012-10-17";
  const trusting = [{ Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" }];
  const AssumeRolePolicyDocument = JSON.stringify({ Version, Statement: trusting });
  const role = { RoleName: "reeve-agent" };
  const made = await good(owner.say("iam", "create_role", { ...role, AssumeRolePolicyDocument }));
  // moto judges actions alone, as if every resource were everything.
  const wide = MAY.map(({ Action }) => ({ Effect: "Allow", Action, Resource: "*" }));
  const PolicyDocument = JSON.stringify({ Version, Statement: wide });
  await good(owner.say("iam", "put_role_policy", { ...role, PolicyName: "bucket", PolicyDocument }));
  const RoleArn = (made["Role"] as { Arn: string }).Arn;
  const assumed = await good(owner.say("sts", "assume_role", { RoleArn, RoleSessionName: "i-0123456789abcdef0" }));
  const { AccessKeyId, SecretAccessKey, SessionToken } = assumed["Credentials"] as Record<string, string>;
  const key = {
    accessKeyId: AccessKeyId ?? "",
    secretAccessKey: SecretAccessKey ?? "",
    sessionToken: SessionToken ?? "",
  };
  await moto.judge(true);
  return serverOf("moto", endpoint, key, owner, async () => {
    if (running === null) await moto.stop();
  });
}

export async function versityS3(): Promise<S3Server> {
  const program = goTool("github.com/versity/versitygw/cmd/versitygw");
  const folder = mkdtempSync(join(tmpdir(), "reeve-s3-"));
  for (const name of ["data", "versions", "iam"]) mkdirSync(join(folder, name));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const env = { PATH: "/usr/bin:/bin", HOME: folder };
  const at = ["--access", "ownerkey", "--secret", "ownersecret"];
  const child: ChildProcess = spawn(
    program,
    [
      ...at,
      ...["--port", `127.0.0.1:${port}`, "--iam-dir", join(folder, "iam"), "--quiet"],
      ...["posix", "--versioning-dir", join(folder, "versions"), join(folder, "data")],
    ],
    { stdio: "ignore", env },
  );
  const user = ["admin", ...at, "--endpoint-url", endpoint, "create-user", "--role", "user"];
  const until = performance.now() + 60_000;
  while (spawnSync(program, [...user, "--access", "agentkey", "--secret", "agentsecret"], { env }).status !== 0) {
    if (child.exitCode !== null || performance.now() > until) throw new Error("the S3 gateway does not start");
    await Bun.sleep(50);
  }
  const owner = ownerAt(endpoint, "ownerkey", "ownersecret");
  await lockedBucket(owner);
  const Statement = MAY.map((one) => ({ Effect: "Allow", Principal: { AWS: ["agentkey"] }, ...one }));
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  await good(owner.say("s3", "put_bucket_policy", { Bucket: BUCKET, Policy }));
  // It knows no sessions: without their token.
  const key = { accessKeyId: "agentkey", secretAccessKey: "agentsecret", sessionToken: "" };
  return serverOf("versitygw", endpoint, key, owner, async () => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    rmSync(folder, { recursive: true, force: true });
  });
}
