import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Complaint } from "./terminal.ts";

/** Where the state lies when it is not DIR/state.db. */
export type DatabaseUrl = {
  /** For people: without user and password. */
  readonly place: string;
  readonly connect: {
    readonly hostname: string;
    readonly port: number;
    readonly username: string;
    readonly password: string;
    readonly database: string;
    readonly tls: "disable" | { readonly rejectUnauthorized: true; readonly ca?: string };
  };
};

const FORM = "postgresql://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full&sslrootcert=FILE";

/**
 * The one line of DIR/database, a connection URL: never an argument or a variable, where others see it. Null when there is no such file. A server
 * that is reached over a network shows a certificate for its name, unless the URL says `sslmode=disable`. Throws a Complaint for a file that others may read (4), or that is not of its form (3).
 */
export function readDatabaseUrl(dir: string): DatabaseUrl | null {
  const path = join(dir, "database");
  const text = readSecret(path);
  return text === null ? null : parseDatabaseUrl(text.replace(/\n$/, ""), path);
}

function readSecret(path: string): string | null {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT") return null;
    throw new Complaint(4, `read ${path}`, `the system answers ${code}`, "Let the user that serves read it.");
  }
  try {
    const { mode, uid } = fstatSync(file);
    if ((mode & 0o077) !== 0 || (uid !== 0 && uid !== process.getuid?.()))
      throw new Complaint(
        4,
        `use ${path}`,
        "it holds a password, and others may read or change it",
        `Give it to the user that serves: chown, then chmod 0600 ${path}.`,
      );
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

/** Nothing of the text is in a complaint: it may hold a password. */
function parseDatabaseUrl(text: string, path: string): DatabaseUrl {
  const no = (because: string): never => {
    throw new Complaint(3, `use ${path}`, because, `It holds one line: ${FORM}`);
  };
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "postgresql:" && url.protocol !== "postgres:"))
    return no("it holds no connection URL of PostgreSQL");
  const { host: folder, user, sslmode, sslrootcert, ...others } = Object.fromEntries(url.searchParams);
  if (Object.keys(others).length > 0) no("it has a parameter other than host, user, sslmode and sslrootcert");
  if (folder !== undefined && (!folder.startsWith("/") || url.hostname !== ""))
    no("host is the folder of a socket on this machine, and then the URL names no other");
  const hostname = folder ?? url.hostname.replace(/^\[|\]$/g, "");
  const username = user ?? decodeURIComponent(url.username);
  const database = decodeURIComponent(url.pathname.slice(1));
  if (hostname === "" || username === "" || database === "") no("it does not name a host, a user and a database");
  if (sslmode !== undefined && sslmode !== "verify-full" && sslmode !== "disable")
    no("its sslmode is neither verify-full, which is also meant without one, nor disable");
  const port = url.port === "" ? 5432 : Number(url.port);
  return {
    place: `${database} at ${folder ?? url.hostname}${folder === undefined ? `:${port}` : ""}`,
    connect: {
      hostname,
      port,
      username,
      password: decodeURIComponent(url.password),
      database,
      tls: folder !== undefined || sslmode === "disable" ? "disable" : verified(sslrootcert),
    },
  };
}

function verified(sslrootcert: string | undefined): { readonly rejectUnauthorized: true; readonly ca?: string } {
  if (sslrootcert === undefined) return { rejectUnauthorized: true };
  try {
    return { rejectUnauthorized: true, ca: readFileSync(sslrootcert, "utf8") };
  } catch (error) {
    const { code } = error as { code?: string };
    throw new Complaint(4, `read ${sslrootcert}`, `the system answers ${code}`, "Name the server's CA in PEM.");
  }
}
