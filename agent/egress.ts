import type { Config } from "./config.ts";
import { type Disk, DiskError } from "./host/host.ts";
import type { Egress } from "./host/proxy.ts";
import { type Place, placeOf, type Unreachable } from "./host/socket.ts";
import { MAX_PROXY_CREDENTIALS_BYTES } from "./limits.ts";

/** What the config says about the ways out of this machine. `uid`: the user whose the credentials' file must be, or root's. */
export function egressOf(disk: Disk, egress: Config["egress"], uid: number): Egress {
  const direct = new Set(Object.keys(egress.endpoints));
  if (egress.proxy === "none") return { proxy: null, direct };
  const { url, credentials_file } =
    typeof egress.proxy === "string" ? { url: egress.proxy, credentials_file: null } : egress.proxy;
  const place = proxyPlace(url);
  if (place === null) throw new Error("the proxy's address was not checked");
  const credentials = credentials_file === null ? null : () => readCredentials(disk, credentials_file, uid);
  return { proxy: { place, credentials }, direct };
}

/** The proxy's address; null when it is none. */
export function proxyPlace(url: string): Place | null {
  // An explicit port is kept whatever the scheme's own is.
  return url.startsWith("http://") ? placeOf(`https://${url.slice("http://".length)}`) : null;
}

/** RFC 7617 section 2: no colon in the user's name, no control characters. The file is judged on the descriptor that it is read from. */
function readCredentials(disk: Disk, path: string, uid: number): { readonly pair: string } | Unreachable {
  try {
    const { bytes, stat } = disk.read(path, MAX_PROXY_CREDENTIALS_BYTES);
    if (stat.kind !== "file") return { unreachable: "proxy: credentials not a file" };
    if ((stat.uid !== uid && stat.uid !== 0) || (stat.mode & 0o077) !== 0)
      return { unreachable: "proxy: credentials open to others" };
    const pair = new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\n$/, "");
    if (!/^[^:\p{Cc}]+:[^\p{Cc}]*$/u.test(pair)) return { unreachable: "proxy: credentials not USER:PASSWORD" };
    return { pair };
  } catch (error) {
    if (error instanceof TypeError) return { unreachable: "proxy: credentials not USER:PASSWORD" };
    if (!(error instanceof DiskError)) throw error;
    return { unreachable: `proxy: credentials ${error.code}` };
  }
}
