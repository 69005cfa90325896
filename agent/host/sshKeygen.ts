import { spawnSync } from "node:child_process";

/**
 * Has `ssh-keygen -Y sign` sign bytes with a key file, or with the key in the agent whose public half the file holds. It asks for a
 * passphrase or a touch by itself, on the terminal. The environment is the person's own: it says where their agent is.
 */
export function sshSign(
  keyFile: string,
  namespace: string,
  message: Uint8Array,
): { readonly armored: string } | { readonly because: string } {
  const ran = spawnSync("ssh-keygen", ["-q", "-Y", "sign", "-n", namespace, "-f", keyFile], {
    input: message,
    stdio: ["pipe", "pipe", "inherit"],
    maxBuffer: 64 * 1024,
  });
  if (ran.error !== undefined) return { because: `ssh-keygen cannot be started (${ran.error.message})` };
  if (ran.status !== 0) return { because: `ssh-keygen ended with ${ran.status ?? ran.signal}` };
  return { armored: ran.stdout.toString("latin1") };
}
