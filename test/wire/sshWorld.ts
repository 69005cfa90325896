import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toolEnvironment } from "../../build/command.ts";
import { requireDebian } from "../tools.ts";

/** OpenSSH's own programs, and a FIDO security key of software (test/tools/sk-dummy) that they take for a real one. */

export const NAMESPACE = "reeve-approval";
/** By the type that a public key names: what `ssh-keygen -t` and `-b` want. */
export const KINDS: Readonly<Record<string, readonly string[]>> = {
  "ssh-ed25519": ["ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa", "-b", "256"],
  "ecdsa-sha2-nistp384": ["ecdsa", "-b", "384"],
  "ecdsa-sha2-nistp521": ["ecdsa", "-b", "521"],
  "sk-ssh-ed25519@openssh.com": ["ed25519-sk"],
  "sk-ecdsa-sha2-nistp256@openssh.com": ["ecdsa-sk"],
};
export const isFido = (type: string): boolean => type.startsWith("sk-");

/** A key of a pair: `file` is the private one, `text` the public one without comment. */
export type Pair = { readonly file: string; readonly text: string };
export type SshWorld = ReturnType<typeof sshWorld>;

export function sshWorld() {
  requireDebian({
    "ssh-keygen": "openssh-client",
    cc: "gcc",
    "/usr/include/stdlib.h": "libc6-dev",
    "/usr/include/openssl/evp.h": "libssl-dev",
  });
  // ssh-agent compares a middleware's real path with its -P.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "reeve-ssh-")));
  const middleware = join(folder, "sk-dummy.so");
  // ssh-keygen and ssh-agent start /usr/lib/openssh/ssh-sk-helper, which loads the library that this variable names. Without
  // SSH_AUTH_SOCK no agent of this machine is asked.
  const environment = { ...toolEnvironment(), SSH_SK_PROVIDER: middleware, SSH_AUTH_SOCK: undefined };
  const source = join(import.meta.dirname, "../tools/sk-dummy/sk-dummy.c");
  run(["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", middleware, source, "-lcrypto"]);
  let count = 0;
  const path = (name: string): string => join(folder, `${count++}-${name}`);
  function run(command: readonly string[], input: string | Uint8Array = "", more: Record<string, string> = {}): string {
    const [program = "", ...words] = command;
    const ended = spawnSync(program, words, { env: { ...environment, ...more }, input, encoding: "utf8" });
    if (ended.status !== 0) throw new Error(`${command.join(" ")}: ${ended.stderr}`);
    return ended.stdout;
  }

  function pair(...kind: readonly string[]): Pair {
    const file = path("key");
    run(["ssh-keygen", "-q", "-N", "", "-C", "a comment", "-f", file, "-t", ...kind]);
    return { file, text: publicText(`${file}.pub`) };
  }

  /** The armored file that `ssh-keygen -Y sign` writes to its standard output. */
  function sign(keyFile: string, message: string | Uint8Array, words: readonly string[] = [], more = {}): string {
    return run(["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, ...words, "-f", keyFile], message, more);
  }

  /** What ssh-keygen says of a signature: the SHA-256 of the key that made it, or null. */
  function checked(armor: string, message: string | Uint8Array, namespace = NAMESPACE): string | null {
    const file = join(folder, "checked.sig");
    writeFileSync(file, armor);
    const words = ["-Y", "check-novalidate", "-n", namespace, "-s", file];
    const ended = spawnSync("ssh-keygen", words, { env: environment, input: message, encoding: "utf8" });
    if (ended.status === 0) return /^Good .* key SHA256:(\S+)$/m.exec(ended.stdout)?.[1] ?? "unreadable";
    if (ended.status !== 255) throw new Error(`ssh-keygen ended with ${ended.status}: ${ended.stderr}`);
    return null;
  }

  /** Whether ssh-keygen takes it as `alice`'s, whose key is `text`. */
  function isAlices(text: string, armor: string, message: string): boolean {
    const [signers, file] = [path("signers"), path("sig")];
    writeFileSync(signers, `alice ${text}\n`);
    writeFileSync(file, armor);
    const words = ["-Y", "verify", "-f", signers, "-I", "alice", "-n", NAMESPACE, "-s", file];
    return spawnSync("ssh-keygen", words, { env: environment, input: message }).status === 0;
  }

  return {
    folder,
    middleware,
    path,
    run,
    pair,
    sign,
    checked,
    isAlices,
    end: () => rmSync(folder, { recursive: true }),
  };
}

function publicText(file: string): string {
  return readFileSync(file, "utf8").split(" ").slice(0, 2).join(" ");
}

/** As OpenSSH names a key: SHA-256 of the blob, base64 without padding. */
export function fingerprint(text: string): string {
  const blob = Buffer.from(text.split(" ")[1] ?? "", "base64");
  return createHash("sha256").update(blob).digest("base64").replace(/=+$/, "");
}

export const HEAD = Buffer.from("SSHSIG\0\0\0\x01");

export function armored(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,70}/g) ?? [];
  return ["-----BEGIN SSH SIGNATURE-----", ...lines, "-----END SSH SIGNATURE-----"].join("\n");
}

export function dearmored(armor: string): Buffer {
  return Buffer.from(armor.replace(/-----[A-Z ]+-----/g, ""), "base64");
}

export function packed(...fields: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const [bytes, length] = [Buffer.from(field), Buffer.alloc(4)];
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

export function unpacked(bytes: Uint8Array): Buffer[] {
  const fields: Buffer[] = [];
  const all = Buffer.from(bytes);
  for (let at = 0; at < all.length; ) {
    const end = at + 4 + all.readUInt32BE(at);
    fields.push(all.subarray(at + 4, end));
    at = end;
  }
  return fields;
}
