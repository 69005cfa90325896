/** Programs that reeve is shown against: openssl, named, dig. Installed ones, or Debian's, unpacked under .cache. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { CLEAN_ENVIRONMENT, run } from "./stage.ts";

const PACKAGES = ["openssl", "bind9", "bind9-dnsutils"];
const FOLDERS = ["usr/sbin", "usr/bin", "sbin", "bin"];

export type Tool = { readonly path: string; readonly env: Readonly<Record<string, string>> };
type Place = { readonly root: string; readonly env: Readonly<Record<string, string>> };

const INSTALLED: Place = { root: "/", env: CLEAN_ENVIRONMENT };

function findIn(place: Place, name: string): Tool | null {
  const path = FOLDERS.map((folder) => join(place.root, folder, name)).find(
    (candidate) => statSync(candidate, { throwIfNoEntry: false })?.isFile() === true,
  );
  return path === undefined ? null : { path, env: place.env };
}

/** The program as it is installed, then as it can be fetched: the second is only looked for when the first is asked past. */
export async function* candidates(name: string, cache: string): AsyncGenerator<Tool> {
  const here = findIn(INSTALLED, name);
  if (here !== null) yield here;
  const place = await fetched(cache);
  const there = place === null ? null : findIn(place, name);
  if (there !== null) yield there;
}

export async function findTool(name: string, cache: string): Promise<Tool | null> {
  for await (const tool of candidates(name, cache)) return tool;
  return null;
}

function unpacked(root: string): Place {
  const libraries = readdirSync(`${root}/usr/lib`)
    .filter((name) => name.includes("-linux-"))
    .flatMap((name) => [`${root}/usr/lib/${name}`, `${root}/usr/lib/${name}/bind`]);
  return { root, env: { ...CLEAN_ENVIRONMENT, LD_LIBRARY_PATH: libraries.join(":") } };
}

/** Fetches Debian's packages and unpacks them into a folder of ours: nothing is installed here. Null where that does not work. */
async function fetched(cache: string): Promise<Place | null> {
  const root = join(cache, "debian");
  if (existsSync(root)) return unpacked(root);
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get") || !existsSync("/usr/bin/dpkg")) return null;
  const making = join(cache, `.debian-${process.pid}`);
  try {
    mkdirSync(join(making, "archives", "partial"), { recursive: true });
    if (!(await download(join(making, "archives")))) return null;
    for (const name of readdirSync(join(making, "archives")).filter((file) => file.endsWith(".deb"))) {
      if ((await run(["dpkg", "-x", join(making, "archives", name), join(making, "root")])).code !== 0) return null;
    }
    // Renamed last: what lies under the final name is whole.
    renameSync(join(making, "root"), root);
    return unpacked(root);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** Tried twice: the lists of packages may be old or missing. */
async function download(archives: string): Promise<boolean> {
  const env = { ...CLEAN_ENVIRONMENT, ...proxies(), DEBIAN_FRONTEND: "noninteractive" };
  const get = ["apt-get", "-qq", "-y", "-o", `Dir::Cache::archives=${archives}`];
  const packages = [...get, "install", "--reinstall", "--no-install-recommends", "--download-only", ...PACKAGES];
  if ((await run(packages, { env })).code === 0) return true;
  return (await run([...get, "update"], { env })).code === 0 && (await run(packages, { env })).code === 0;
}

/** apt goes to the network as this machine does; nothing else of the demo does. */
function proxies(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && /_proxy$/i.test(name)) found[name] = value;
  }
  return found;
}
