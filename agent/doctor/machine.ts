import { BALLAST_BYTES, CLOCK_JUMP_MAX_SECONDS, CLOCK_SKEW_SECONDS } from "../limits.ts";
import type { ClockFact, DiskFact, EndpointFact, LogFact, Ran } from "./facts.ts";
import { fail, type Line, ok, size, span, warn } from "./line.ts";

/** Below these the log's disk is short: a command takes about 2 KB, a segment and its carry up to 32 MiB. */
const FREE_WARN_BYTES = 256 * 1024 * 1024;
const FREE_FAIL_BYTES = 8 * 1024 * 1024;
const FREE_WARN_INODES = 1000;
const FREE_FAIL_INODES = 20;

export function environmentLines(ran: Ran): Line[] {
  const { uid, user } = ran;
  const looked = `reeve ${ran.version}, ${ran.runtime}`;
  const who = user.uid === 0 ? "root" : `uid ${user.uid}`;
  const judged = `files are judged for the agent's user, ${who} (${user.by})`;
  const lines: Line[] = [];
  if (ran.rights === "other")
    lines.push(
      fail(
        "environment",
        looked,
        `doctor runs as uid ${uid}, and the agent's user is ${who} (${user.by}): what follows is only what uid ${uid} can see`,
        "Run it as root or as the agent's user: sudo reeve doctor",
      ),
    );
  else if (typeof ran.rights === "object")
    lines.push(
      warn(
        "environment",
        looked,
        `doctor runs as root and cannot take the rights of the agent's user, ${who} (${ran.rights.not}): files were looked at as root`,
        `Run it as the agent's user: setpriv --reuid ${user.uid} --clear-groups reeve doctor`,
      ),
    );
  else lines.push(ok("environment", looked, `doctor runs as ${uid === 0 ? "root" : `uid ${uid}`}; ${judged}`));
  if (ran.forbidden.length > 0)
    lines.push(
      warn(
        "environment",
        "doctor's own environment",
        `it holds ${ran.forbidden.slice(0, 8).join(", ")}: \`reeve run\` would refuse to start from here`,
        "Nothing, when the agent runs as its unit: that clears it. By hand: env -i PATH=/usr/bin:/bin reeve run",
      ),
    );
  return lines;
}

/** `log`, `endpoints`: null or empty when they are not known. */
export function clockLines(
  clock: ClockFact,
  at: number,
  log: LogFact | null,
  endpoints: readonly EndpointFact[],
): Line[] {
  return [sourceLine(clock), ...jumpLines(clock), ...behindLines(at, log), ...planeLines(at, endpoints)];
}

function sourceLine({ services, synchronized }: ClockFact): Line {
  const looked = "what keeps it";
  if (services.length === 0)
    return warn(
      "clock",
      looked,
      "no time service is seen (chrony, systemd-timesyncd, ntpd)",
      "Start one: systemctl enable --now systemd-timesyncd. In a container its host keeps the clock: look there.",
    );
  const which = services.join(", ");
  return synchronized === false
    ? warn(
        "clock",
        looked,
        `${which} runs, and has not set the clock yet`,
        "timedatectl timesync-status; see that its servers are reached (UDP 123).",
      )
    : ok("clock", looked, `${which} runs${synchronized === true ? " and has set the clock" : ""}`);
}

function jumpLines({ jumpMs }: ClockFact): Line[] {
  const looked = "against the monotonic clock";
  if (Math.abs(jumpMs) <= 1000) return [ok("clock", looked, "both agreed while doctor ran")];
  const found = `it was set by ${span(jumpMs)} ${jumpMs > 0 ? "forward" : "back"} while doctor ran`;
  const hint = `A jump of over ${CLOCK_JUMP_MAX_SECONDS} s stops commands until both agree again, or the owner says: reeve resume`;
  return [
    Math.abs(jumpMs) > CLOCK_JUMP_MAX_SECONDS * 1000
      ? fail("clock", looked, found, hint)
      : warn("clock", looked, found, hint),
  ];
}

function behindLines(at: number, log: LogFact | null): Line[] {
  if (log?.state !== "whole" || log.newest <= at) return [];
  return [
    fail(
      "clock",
      "against the log",
      `it is ${span(log.newest - at)} behind the log's newest entry: it was set back`,
      "Set it right (see the time service). Until then the agent decides by the newest entry's time.",
    ),
  ];
}

function planeLines(at: number, endpoints: readonly EndpointFact[]): Line[] {
  const told = endpoints.find(({ skewMs }) => skewMs !== null);
  if (told?.skewMs != null) {
    const looked = "against the control plane";
    const by = "by the Date of its answer, over TLS that the pin vouches for";
    const { skewMs } = told;
    const found = `it is ${span(skewMs)} ${skewMs > 0 ? "behind" : "ahead of"} the control plane's (${by})`;
    const hint = `Commands are refused as expired or not yet valid when they differ by over ${CLOCK_SKEW_SECONDS} s: see to this machine's time service; if it is right, tell the vendor.`;
    if (Math.abs(skewMs) > CLOCK_SKEW_SECONDS * 1000) return [fail("clock", looked, found, hint)];
    if (Math.abs(skewMs) > (CLOCK_SKEW_SECONDS * 1000) / 2) return [warn("clock", looked, found, hint)];
    return [ok("clock", looked, Math.abs(skewMs) < 2000 ? `both agree (${by})` : found)];
  }
  const leaf = endpoints.flatMap(({ shown }) => ("chain" in shown ? shown.chain.slice(0, 1) : []))[0];
  if (leaf === undefined) return [];
  const looked = "against the control plane's certificate";
  if (at >= leaf.from && at <= leaf.until)
    return [ok("clock", looked, "it lies within that certificate's validity; nothing closer is known")];
  return [
    fail(
      "clock",
      looked,
      at < leaf.from
        ? `it is ${span(leaf.from - at)} before that certificate's begin`
        : `it is ${span(at - leaf.until)} after that certificate's end`,
      "Compare with another clock: either this one is wrong, or the vendor must renew the certificate.",
    ),
  ];
}

export function diskLines({ path, space, reserve }: DiskFact): Line[] {
  const lines: Line[] = [];
  if ("code" in space) lines.push(warn("disk", path, `its space cannot be told (${space.code})`, `df -h ${path}`));
  else {
    const inodes = space.totalInodes === 0 ? Number.POSITIVE_INFINITY : space.freeInodes;
    const found = `${size(space.freeBytes)} of ${size(space.totalBytes)} free${space.totalInodes === 0 ? "" : `, ${space.freeInodes} inodes free`}`;
    const hint =
      "Free space where the state folder lies: without it no command is carried out, and in the end the agent stops.";
    if (space.freeBytes < FREE_FAIL_BYTES || inodes < FREE_FAIL_INODES) lines.push(fail("disk", path, found, hint));
    else if (space.freeBytes < FREE_WARN_BYTES || inodes < FREE_WARN_INODES)
      lines.push(warn("disk", path, found, hint));
    else lines.push(ok("disk", path, found));
  }
  if (reserve === null) return lines;
  const gone = reserve.filter(({ bytes }) => bytes !== BALLAST_BYTES).map(({ name }) => name);
  const looked = "the reserve";
  if (gone.length === 0)
    lines.push(ok("disk", looked, `${reserve.length} files of ${size(BALLAST_BYTES)} keep room for outcomes`));
  else
    lines.push(
      fail(
        "disk",
        looked,
        `${gone.join(" and ")} ${gone.length === 1 ? "is" : "are"} spent: no command is carried out until there is room for ${gone.length === 1 ? "it" : "them"} again`,
        `Free ${size(gone.length * BALLAST_BYTES)} and more; a running agent then takes the reserve back by itself.`,
      ),
    );
  return lines;
}
