/**
 * `bun run screenshot`: a vendor and an agent work on this machine, `reeve audit ui` shows the agent's log, and a real browser's picture of it becomes
 * docs/audit-ui.png; then the vendor's page of a fleet, docs/fleet.png. Times and ids are another in each run.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { ROOT } from "../../build/command.ts";
import { addCluster } from "../control/planWorld.ts";
import { oneOfEach } from "../pages/fleet.ts";
import { AS_MARIA, endPages, filled, paged } from "../pages/stage.ts";
import { played } from "./played.ts";
import { browser, look, open, serve } from "./stage.ts";

const SIZE = { width: 1100, height: 1000 };

async function auditPicture(own: Browser): Promise<void> {
  const w = await played();
  const served = await serve(["--config", w.config, "--ca", w.root]);
  try {
    const seen = await look(own, { viewport: SIZE, colorScheme: "light" });
    await open(seen, served);
    const refused = seen.page.locator(".row[data-state=succeeded]").first();
    await refused.locator("summary").click();
    await refused.locator(".mark[data-checked=yes]").nth(1).waitFor();
    await keepPicture(seen.page, "docs/audit-ui.png");
  } finally {
    await served.stop();
    await w.end();
  }
}

async function fleetPicture(own: Browser): Promise<void> {
  const dir = await filled(async (sql) => {
    await oneOfEach(sql);
    for (let at = 1; at < 10; at++) await addCluster(sql, `ready-us-${at}`, { policy: null });
    await sql.run("update clusters set version = '0.1.0' where last_seen is not null");
  });
  try {
    const seen = await look(own, { viewport: SIZE, colorScheme: "light", extraHTTPHeaders: AS_MARIA });
    const served = await paged(dir);
    await seen.page.goto(served.origin);
    await keepPicture(seen.page, "docs/fleet.png");
  } finally {
    await endPages();
  }
}

async function keepPicture(page: Page, name: string): Promise<void> {
  const path = join(ROOT, name);
  await page.screenshot({ path });
  console.log(`wrote ${path}: ${Math.round(statSync(path).size / 1024)} KB`);
}

const own = await browser();
try {
  // Named on the command line, or all.
  const wanted = process.argv[2];
  if (wanted !== "fleet") await auditPicture(own);
  if (wanted !== "audit-ui") await fleetPicture(own);
} finally {
  await own.close();
}
