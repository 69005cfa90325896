import { join } from "node:path";
import { ROOT } from "../command.ts";
import { type Metafile, placesIn } from "./sbom.ts";

const PAGE = "agent/ui/page";

/**
 * Packages in the scripts of `reeve audit ui`'s page. They lie in the executable as text (build/page.ts), so its own account has nothing of them.
 * Throws when the scripts cannot be bundled.
 */
export async function pagePlaces(): Promise<string[]> {
  const made = await Bun.build({
    entrypoints: ["page.ts", "worker.ts"].map((name) => join(ROOT, PAGE, name)),
    root: ROOT,
    target: "browser",
    format: "esm",
    minify: true,
    metafile: true,
  });
  if (made.metafile === undefined) throw new Error("the bundler gives no account of the page's scripts");
  return placesIn(made.metafile satisfies Metafile);
}
